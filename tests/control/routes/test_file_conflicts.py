"""What is posted over a route of routes.yaml: the same target is no conflict, another one is."""

import aiohttp
import pytest

from hubgate.errors import FileRouteError, RouteNotFoundError
from hubgate.model import Route, RouteOptions, Source
from tests.control.recording import RecordingStore, RecordingWorkers
from tests.control.routes.test_service import opened
from tests.control.serving import serving

FILE = Route("/", "http://127.0.0.1:8081", {"target": "http://127.0.0.1:8081"}, source=Source.FILE)
# As a hub posts it, with the marks it looks for later.
DATA = {"hub": True, "target": "http://127.0.0.1:8081/", "jupyterhub": True}
POSTED = Route("/", "http://127.0.0.1:8081/", DATA)
OTHER = Route("/", "http://127.0.0.1:9999", {"target": "http://127.0.0.1:9999"})


async def test_the_same_target_is_stored_and_its_data_shown_but_the_files_route_serves() -> None:
    store, workers = RecordingStore(), RecordingWorkers()
    service = await opened(FILE, store=store, workers=workers)
    before = service.get("/").last_activity
    await service.add(POSTED)
    assert service.get("/").route.data == DATA
    assert [live.route.data for live in service.all()] == [DATA]
    assert service.get("/").last_activity > before
    (served,) = service.snapshot()
    assert (served.source, served.target) == (Source.FILE, FILE.target)
    assert (store.log, workers.changes) == (["put"], [])


async def test_it_is_there_after_a_restart_and_a_reload() -> None:
    store = RecordingStore()
    await (await opened(FILE, store=store)).add(POSTED)
    service = await opened(FILE, store=store)
    assert service.get("/").route.data == DATA
    await service.replace_file_routes([])
    assert service.get("/").route.data == DATA
    assert service.snapshot()[0].source is Source.API
    await service.replace_file_routes([FILE])
    assert service.get("/").route.data == DATA


async def test_a_file_that_says_another_target_later_is_shown_as_it_is() -> None:
    service = await opened(FILE)
    await service.add(POSTED)
    moved = Route("/", OTHER.target, OTHER.data, source=Source.FILE)
    await service.replace_file_routes([moved])
    assert service.get("/").route.data == OTHER.data
    with pytest.raises(FileRouteError):
        await service.add(POSTED)
    with pytest.raises(FileRouteError):
        await service.remove("/")


async def test_deleting_takes_back_what_was_posted_and_the_files_route_stays() -> None:
    store, workers = RecordingStore(), RecordingWorkers()
    service = await opened(FILE, store=store, workers=workers)
    await service.add(POSTED)
    await service.remove("/")
    assert service.get("/").route.data == FILE.data
    assert (store.log, workers.changes) == (["put", "delete"], [])
    with pytest.raises(FileRouteError, match=r"is set in routes\.yaml"):
        await service.remove("/")
    await service.replace_file_routes([])
    with pytest.raises(RouteNotFoundError):
        service.get("/")


async def test_another_target_says_both_and_no_password() -> None:
    store, workers = RecordingStore(), RecordingWorkers()
    service = await opened(FILE, store=store, workers=workers)
    secret = Route("/", "http://me:secret@127.0.0.1:9999")
    with pytest.raises(FileRouteError) as refused:
        await service.add(secret)
    assert str(refused.value) == (
        "route / is set in routes.yaml with the target http://127.0.0.1:8081,"
        " not http://...@127.0.0.1:9999: change it there"
    )
    assert (store.log, workers.changes) == ([], [])


async def test_what_the_file_adds_to_a_route_is_shown_and_may_not_be_posted_otherwise() -> None:
    options = RouteOptions(strip_prefix=True)
    data = {"target": "http://h:1", "strip_prefix": True}
    service = await opened(Route("/docs", "http://h:1", data, options, Source.FILE))
    await service.add(Route("/docs", "http://H:1/", {"target": "http://H:1/", "team": "x"}))
    shown = {"target": "http://H:1/", "team": "x", "strip_prefix": True}
    assert service.get("/docs").route.data == shown
    await service.add(Route("/docs", "http://h:1", {"target": "http://h:1"}, options))
    fields = RouteOptions(headers=(("X-Team", "physics"),))
    with pytest.raises(FileRouteError, match="other options"):
        await service.add(Route("/docs", "http://h:1", {"target": "http://h:1"}, fields))


async def test_a_hub_that_logs_only_the_reason_phrase_is_told_the_reason() -> None:
    async with serving(fixed=[FILE]) as api, aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{api.port}/api/routes/"
        async with session.post(url, json={"target": "http://\N{SNOWMAN}:1"}) as answer:
            assert (answer.status, answer.reason) == (
                409,
                "route / is set in routes.yaml with the target http://127.0.0.1:8081,"
                " not http://\\u2603:1: change it there",
            )
        async with session.post(url, json=DATA) as answer:
            assert answer.status == 201
