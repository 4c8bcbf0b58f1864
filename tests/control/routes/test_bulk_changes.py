"""What a whole table, or a merge patch, means for the current one; and the service does it."""

import asyncio
import time
from typing import Any

import pytest

from hubgate.control.routes.bulk_changes import (
    GivenRoute,
    Mistakes,
    Plan,
    merge_patch,
    merged,
    whole_table,
)
from hubgate.control.routes.change_log import SeenTable
from hubgate.control.routes.live_table import PER_STEP, LiveTable
from hubgate.control.routes.rows import row
from hubgate.control.routes.service import RouteService
from hubgate.errors import FileRouteError, RouteError, StoreError, TableChangedError
from hubgate.model import Route, Source
from tests.control.recording import RecordingStore, RecordingWorkers

TARGET = "http://127.0.0.1:9001"


def given(key: str, active: float | None = None, **data: Any) -> GivenRoute:
    target = data.pop("target", TARGET)
    return GivenRoute(row(Route(key, target, {"target": target, **data}), Source.API), active)


def table(*routes: GivenRoute) -> dict[str, GivenRoute]:
    return {each.route.key: each for each in routes}


def make(key: str, data: dict[str, Any]) -> GivenRoute:
    if "target" not in data:
        raise RouteError("needs a target")
    return given(key, **data)


async def opened(
    *fixed: Route, log: list[str] | None = None
) -> tuple[RouteService, RecordingWorkers]:
    workers = RecordingWorkers(log)
    service = RouteService(RecordingStore(log), workers)
    await service.open(fixed, ())
    return service, workers


def everything(routes: dict[str, GivenRoute], hubs_too: bool) -> Plan:
    """The plan of somebody who sees the whole table."""
    return whole_table(routes, hubs_too, lambda _: True)


def keys(service: RouteService) -> set[str]:
    return {live.route.key for live in service.all()}


async def test_a_whole_table_is_one_change_of_the_store_and_of_the_workers() -> None:
    log: list[str] = []
    service, workers = await opened(log=log)
    await service.add(given("/a").route)
    await service.add(given("/b").route)
    del log[:], workers.changes[:]
    before = service.changes.revision
    wanted = table(given("/a"), given("/b", user="x"), given("/c"))
    done = await service.change(everything(wanted, hubs_too=False))
    change, revision = done.change, done.revision
    assert change.keys() == {"added": ["/c"], "changed": ["/b"], "removed": [], "left": []}
    assert log == ["put", "publish", "acknowledged"]
    assert len(workers.changes) == 1
    assert revision == service.changes.revision
    assert revision.number == before.number + 1
    await service.change(everything(table(given("/c")), hubs_too=False))
    assert keys(service) == {"/c"}
    await service.close()


async def test_the_same_table_again_changes_nothing() -> None:
    log: list[str] = []
    service, workers = await opened(log=log)
    await service.add(given("/a").route)
    del log[:], workers.changes[:]
    before, active = service.changes.revision, service.get("/a").last_activity
    await service.change(everything(table(given("/a")), hubs_too=False))
    assert (log, workers.changes, service.changes.revision) == ([], [], before)
    assert service.get("/a").last_activity == active
    await service.close()


async def test_a_hubs_routes_are_left_alone_unless_told() -> None:
    service, _ = await opened()
    for key in ("/user/a", "/user/b"):
        await service.add(given(key, jupyterhub=True).route)
    wanted = table(given("/user/a"), given("/user/c", jupyterhub=True), given("/d"))
    change = (await service.change(everything(wanted, hubs_too=False))).change
    assert change.keys() == {
        "added": ["/d"],
        "changed": [],
        "removed": [],
        "left": ["/user/a", "/user/c", "/user/b"],
    }
    assert keys(service) == {"/user/a", "/user/b", "/d"}
    await service.change(everything(wanted, hubs_too=True))
    assert keys(service) == {"/user/a", "/user/c", "/d"}
    await service.close()


async def test_routes_of_the_file_stay_and_others_than_theirs_are_conflicts() -> None:
    fixed = Route("/fixed", TARGET, {"target": TARGET})
    service, workers = await opened(fixed)
    await service.change(everything(table(given("/fixed"), given("/a")), hubs_too=False))
    assert keys(service) == {"/fixed", "/a"}
    assert service.stored("/fixed") is None
    del workers.changes[:]
    wanted = table(given("/fixed", target="http://127.0.0.1:1"), given("/b"))
    with pytest.raises(FileRouteError, match=r"route /fixed is set in routes\.yaml"):
        await service.change(everything(wanted, hubs_too=False))
    with pytest.raises(FileRouteError, match=r"route /fixed is set in routes\.yaml"):
        await service.change(merge_patch({"/b": {"target": TARGET}, "/fixed": None}, make))
    assert keys(service) == {"/fixed", "/a"}
    assert workers.changes == []
    await service.change(everything({}, hubs_too=False))
    assert keys(service) == {"/fixed"}
    await service.close()


async def test_what_is_posted_over_the_files_route_changes_the_revision() -> None:
    service, workers = await opened(Route("/fixed", TARGET, {"target": TARGET}))
    before = service.changes.revision
    await service.add(given("/fixed", jupyterhub=True).route)
    (change,) = service.changes.after(before)
    assert change.put[0].data["jupyterhub"] is True
    before = service.changes.revision
    await service.remove("/fixed")
    (change,) = service.changes.after(before)
    assert "jupyterhub" not in change.put[0].data
    assert workers.changes == []
    await service.close()


async def test_an_identical_route_does_not_change_the_revision() -> None:
    service, _ = await opened()
    await service.add(given("/a").route)
    before = service.changes.revision
    await service.add(given("/a").route)
    service.record({"/a": time.time()})
    assert service.changes.revision == before
    await service.add(given("/a", more=1).route)
    assert service.changes.revision != before
    await service.close()


async def test_a_change_for_another_table_is_refused() -> None:
    service, workers = await opened()
    seen = SeenTable(frozenset({str(service.changes.revision)}))
    await service.add(given("/a").route, seen)
    del workers.changes[:]
    for refused in (
        service.add(given("/b").route, seen),
        service.remove("/a", seen),
        service.change(everything({}, hubs_too=False), seen),
        service.change(merge_patch({"/a": None}, make), seen, dry_run=True),
    ):
        with pytest.raises(TableChangedError, match=str(service.changes.revision)):
            await refused
    assert keys(service) == {"/a"}
    assert workers.changes == []
    await service.close()


async def test_a_failing_store_leaves_everything_as_it_was() -> None:
    store, workers = RecordingStore(), RecordingWorkers()
    service = RouteService(store, workers)
    await service.open((), ())
    before = service.changes.revision
    store.failing = StoreError("no")
    with pytest.raises(StoreError):
        await service.change(everything(table(given("/a")), hubs_too=False))
    assert (keys(service), workers.changes) == (set(), [])
    assert service.changes.revision == before
    await service.close()


async def test_a_dry_run_only_tells() -> None:
    service, workers = await opened()
    before = service.changes.revision
    done = await service.change(everything(table(given("/a")), hubs_too=False), dry_run=True)
    change, revision = done.change, done.revision
    assert change.added == ["/a"]
    assert (keys(service), workers.changes, revision) == (set(), [], before)
    await service.close()


# --- activity ---


async def test_activity_of_the_past_is_taken_the_future_is_not() -> None:
    store = RecordingStore()
    service = RouteService(store, RecordingWorkers())
    await service.open((), ())
    begun = time.time()
    wanted = table(given("/past", 1000.0), given("/future", begun + 9999), given("/none"))
    await service.change(everything(wanted, hubs_too=False))
    assert service.get("/past").last_activity == 1000.0
    assert store.moments["/past"] == 1000.0
    for key in ("/future", "/none"):
        assert begun <= service.get(key).last_activity <= time.time()
    # Since then it was active; a table from before does not take that back.
    service.record({"/past": 2000.0})
    await service.change(everything(table(given("/past", 1500.0, more=1)), hubs_too=False))
    assert service.get("/past").last_activity == 2000.0
    await service.change(everything(table(given("/past", 3000.0, more=1)), hubs_too=False))
    assert service.get("/past").last_activity == 3000.0
    await service.close()


async def test_a_patch_counts_as_activity_as_a_post_does() -> None:
    service, _ = await opened()
    await service.change(everything(table(given("/a", 1000.0)), hubs_too=False))
    begun = time.time()
    await service.change(merge_patch({"/a": {"target": TARGET}}, make))
    assert service.get("/a").last_activity >= begun
    await service.close()


# --- the patch ---


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [  # RFC 7396, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch_is_applied_as_the_rfc_has_it(target: Any, patch: Any, result: Any) -> None:
    assert merged(target, patch) == result


async def test_a_patch_merges_adds_and_removes_what_is_missing_too() -> None:
    service, workers = await opened()
    await service.add(given("/a", user="x", more={"b": 1, "c": 2}).route)
    await service.add(given("/gone").route)
    del workers.changes[:]
    patch = {"/a": {"user": None, "more": {"b": 3}}, "/gone": None, "/never": None,
             "/new": {"target": TARGET}}  # fmt: skip
    change = (await service.change(merge_patch(patch, make))).change
    assert change.keys() == {"added": ["/new"], "changed": ["/a"], "removed": ["/gone"], "left": []}
    assert dict(service.get("/a").route.data) == {"target": TARGET, "more": {"b": 3, "c": 2}}
    assert len(workers.changes) == 1
    await service.close()


async def test_one_bad_entry_refuses_all_of_a_patch() -> None:
    service, workers = await opened()
    await service.add(given("/a").route)
    del workers.changes[:]
    for bad in ({"/b": {"x": 1}}, {"/b": 1}, {"/a": {"target": None}}):
        with pytest.raises(RouteError, match=r"^/[ab]: "):
            await service.change(merge_patch({"/new": {"target": TARGET}, **bad}, make))
    assert (keys(service), workers.changes) == ({"/a"}, [])
    await service.close()


def test_the_first_ten_mistakes_are_told_and_how_many_there_are() -> None:
    mistakes = Mistakes()
    mistakes.check()
    for number in range(12):
        mistakes.add(f"/{number}", RouteError("is wrong"))
    with pytest.raises(RouteError) as raised:
        mistakes.check()
    lines = str(raised.value).splitlines()
    assert lines[0] == "/0: is wrong"
    assert lines[10:] == ["and 2 more"]


# --- large ones ---


async def test_a_large_change_shows_as_a_whole_or_not_at_all() -> None:
    service, workers = await opened()
    count = 3 * PER_STEP
    before = table(*(given(f"/old/{number}") for number in range(count)))
    after = table(*(given(f"/new/{number}") for number in range(count)))
    await service.change(everything(before, hubs_too=False))
    del workers.changes[:]
    seen: list[tuple[str, frozenset[str]]] = []
    changing = asyncio.ensure_future(  # noqa: TID251
        service.change(everything(after, hubs_too=False))
    )
    while not changing.done():
        seen.append((str(service.changes.revision), frozenset(keys(service))))
        await asyncio.sleep(0)
    seen.append((str(service.changes.revision), frozenset(keys(service))))
    assert {found for _, found in seen} == {frozenset(before), frozenset(after)}
    assert len(set(seen)) == 2  # each revision is one table
    assert len(workers.changes) == 1
    assert len(service) == count
    await service.close()


def test_a_change_in_steps_is_the_change_at_once() -> None:
    put = [given(f"/{number}", number=number).route for number in range(700)]
    delete = [f"/old/{number}" for number in range(700)]
    tables = [LiveTable(), LiveTable()]
    for each in tables:
        old = [given(key).route for key in delete]
        each.change(Source.API, [*old, *(given(f"/{number}").route for number in range(350))], ())
    at_once = tables[0].change(Source.API, put, delete)
    (in_steps,) = filter(None, tables[1].changing(Source.API, put, delete))
    assert in_steps == at_once
    assert tables[0].snapshot() == tables[1].snapshot()
    assert tables[0].activity.keys() == tables[1].activity.keys()
