"""The routes service: one writer, one order, nothing half done."""

import asyncio
import random
import time
from collections.abc import Awaitable, Sequence
from contextlib import suppress

import pytest

from hubgate.control.routes.service import RouteService
from hubgate.errors import (
    ConfigError,
    FileRouteError,
    RouteNotFoundError,
    StoreError,
)
from hubgate.model import Route, RouteOptions, Source
from hubgate.tasks import spawn
from tests.clock import SetClock
from tests.control.recording import RecordingStore, RecordingWorkers

TARGET = "http://127.0.0.1:9001"
OTHER = "http://127.0.0.1:9002"


def of_file(key: str, target: str = TARGET) -> Route:
    return Route(key, target, source=Source.FILE)


async def opened(
    *routes: Route,
    store: RecordingStore | None = None,
    workers: RecordingWorkers | None = None,
    initial: Sequence[Route] = (),
) -> RouteService:
    service = RouteService(store or RecordingStore(), workers or RecordingWorkers())
    await service.open(routes, initial)
    return service


def served(service: RouteService) -> dict[str, str]:
    return {route.key: route.target for route in service.snapshot()}


async def test_an_added_route_is_stored_then_with_every_worker_then_reported() -> None:
    log: list[str] = []
    workers = RecordingWorkers(log)
    service = await opened(store=RecordingStore(log), workers=workers)
    workers.gate.clear()
    adding = spawn(service.add(Route("/user/a", TARGET)), "add")
    await workers.published.wait()
    assert not adding.done()
    workers.gate.set()
    await adding
    assert log == ["put", "publish", "acknowledged"]
    assert workers.changes == [((Route("/user/a", TARGET, {"target": TARGET}),), ())]


async def test_a_removed_route_is_gone_from_the_store_then_from_every_worker() -> None:
    log: list[str] = []
    workers = RecordingWorkers(log)
    service = await opened(store=RecordingStore(log), workers=workers)
    await service.add(Route("/user/a", TARGET))
    del log[:], workers.changes[:]
    await service.remove("/user/a/")
    assert log == ["delete", "publish", "acknowledged"]
    assert workers.changes == [((), ("/user/a",))]
    assert served(service) == {}


async def test_a_route_keeps_what_was_posted_and_its_options() -> None:
    service = await opened()
    data = {"target": TARGET, "jupyterhub": True, "nested": {"a": [1]}}
    await service.add(Route("/a", TARGET, data, RouteOptions(strip_prefix=True)))
    data["later"] = "not kept"
    route = service.get("/a").route
    assert route.data == {"target": TARGET, "jupyterhub": True, "nested": {"a": [1]}}
    assert route.options.strip_prefix


async def test_a_failing_store_changes_nothing_and_the_service_goes_on() -> None:
    store, workers = RecordingStore(), RecordingWorkers()
    service = await opened(store=store, workers=workers)
    await service.add(Route("/kept", TARGET))
    before, moment = len(workers.changes), service.get("/kept").last_activity
    store.failing = StoreError("the store is full")
    changes: list[Awaitable[None]] = [
        service.add(Route("/new", TARGET)),
        service.add(Route("/kept", OTHER)),
        service.remove("/kept"),
    ]
    for change in changes:
        with pytest.raises(StoreError, match="full"):
            await change
    assert served(service) == {"/kept": TARGET}
    assert service.get("/kept").last_activity == moment
    assert len(workers.changes) == before
    store.failing = None
    await service.remove("/kept")
    assert served(service) == {}


async def test_a_cancelled_caller_leaves_no_change_half_done() -> None:
    log: list[str] = []
    store = RecordingStore(log)
    service = await opened(store=store, workers=RecordingWorkers(log))
    store.gate.clear()
    adding = spawn(service.add(Route("/a", TARGET)), "add")
    await store.reached.wait()
    adding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await adding
    store.gate.set()
    # Closing waits for the change under way.
    await service.close()
    assert log == ["put", "publish", "acknowledged"]
    assert served(service) == {"/a": TARGET}


async def test_removing_what_is_not_there_says_so() -> None:
    service = await opened()
    with pytest.raises(RouteNotFoundError, match="/nobody"):
        await service.remove("/nobody")
    with pytest.raises(RouteNotFoundError, match="/nobody"):
        service.get("/nobody")


async def test_routes_of_the_store_are_served_after_a_restart() -> None:
    store = RecordingStore()
    first = await opened(store=store)
    await first.add(Route("/a", TARGET, {"target": TARGET, "user": "a"}))
    again = await opened(store=store)
    assert again.get("/a").route == first.get("/a").route


async def test_initial_routes_are_ordinary_ones() -> None:
    service = await opened(initial=[Route("/", TARGET)])
    assert service.get("/").route.data == {"target": TARGET}
    await service.add(Route("/", OTHER))
    await service.remove("/")
    assert served(service) == {}


async def test_an_initial_route_does_not_displace_one_of_the_file() -> None:
    service = await opened(of_file("/"), initial=[Route("/", OTHER)])
    assert served(service) == {"/": TARGET}
    await service.replace_file_routes([])
    assert served(service) == {}


# --- routes of the file ---


async def test_a_route_of_the_file_can_be_neither_replaced_nor_removed() -> None:
    store, workers = RecordingStore(), RecordingWorkers()
    service = await opened(of_file("/docs"), store=store, workers=workers)
    with pytest.raises(FileRouteError, match=r"/docs is set in routes\.yaml"):
        await service.add(Route("/docs/", OTHER))
    with pytest.raises(FileRouteError):
        await service.remove("/docs")
    assert (store.log, workers.changes) == ([], [])
    assert service.get("/docs").route.data == {"target": TARGET}


async def test_a_route_of_the_file_shadows_a_stored_one_which_returns_after_it() -> None:
    workers = RecordingWorkers()
    service = await opened(workers=workers)
    await service.add(Route("/a", OTHER))
    del workers.changes[:]
    await service.replace_file_routes([of_file("/a")])
    assert served(service) == {"/a": TARGET}
    assert len(service) == 1
    with pytest.raises(FileRouteError):
        await service.remove("/a")
    await service.replace_file_routes([])
    assert served(service) == {"/a": OTHER}
    assert [[route.target for route in put] for put, _ in workers.changes] == [[TARGET], [OTHER]]
    assert all(delete == () for _, delete in workers.changes)


async def test_a_change_is_sent_before_the_one_ahead_of_it_is_acknowledged() -> None:
    workers = RecordingWorkers()
    service = await opened(workers=workers)
    workers.gate.clear()
    async with asyncio.TaskGroup() as tasks:
        adding = [tasks.create_task(service.add(Route(key, TARGET))) for key in ("/a", "/b")]
        removing = tasks.create_task(service.remove("/a"))
        async with asyncio.timeout(30):
            while len(workers.changes) < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        assert not any(task.done() for task in (*adding, removing))
        workers.gate.set()
    sent = [([route.key for route in put], list(delete)) for put, delete in workers.changes]
    assert sent == [(["/a"], []), (["/b"], []), ([], ["/a"])]


async def test_replacing_file_routes_publishes_the_differences_as_one_change() -> None:
    workers = RecordingWorkers()
    same, moved = of_file("/same"), of_file("/moved")
    service = await opened(same, moved, of_file("/gone"), workers=workers)
    await service.replace_file_routes(
        [same, of_file("/moved", OTHER), of_file("hub.example.org/new/")]
    )
    ((put, delete),) = workers.changes
    assert {(route.key, route.target) for route in put} == {
        ("/moved", OTHER),
        ("hub.example.org/new", TARGET),
    }
    assert delete == ("/gone",)
    assert all(route.source is Source.FILE for route in put)


async def test_replacing_file_routes_by_the_same_publishes_nothing() -> None:
    workers = RecordingWorkers()
    service = await opened(of_file("/a"), of_file("/b"), workers=workers)
    await service.replace_file_routes([of_file("/b/"), of_file("/a")])
    assert workers.changes == []


async def test_two_spellings_of_one_route_of_the_file_are_refused_and_nothing_changes() -> None:
    service = await opened(of_file("/a"))
    with pytest.raises(ConfigError, match="twice"):
        await service.replace_file_routes([of_file("/b"), of_file("/b/")])
    assert served(service) == {"/a": TARGET}


# --- activity ---


async def test_adding_and_replacing_count_as_activity() -> None:
    service = await opened()
    started = time.time()
    await service.add(Route("/a", TARGET))
    first = service.get("/a").last_activity
    assert started <= first <= time.time()
    await service.add(Route("/a", OTHER))
    assert service.get("/a").last_activity > first


async def test_the_latest_activity_wins_and_unknown_keys_are_ignored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = SetClock(monkeypatch)
    service = await opened(of_file("/fixed"))
    await service.add(Route("/a", TARGET))
    later = time.time() + 100
    clock.ahead = 1000.0
    service.record({"/a": later, "/fixed": later + 1, "/gone": later})
    service.record({"/a": later - 50})
    assert {live.route.key: live.last_activity for live in service.all()} == {
        "/a": later,
        "/fixed": later + 1,
    }


async def test_the_store_hears_only_of_newer_activity(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SetClock(monkeypatch)
    store = RecordingStore()
    service = await opened(store=store)
    await service.add(Route("/a", TARGET))
    await service.add(Route("/b", TARGET))
    later = time.time() + 100
    clock.ahead = 1000.0
    service.record({"/a": later, "/b": 1.0, "/gone": later})
    assert store.noted == [{"/a": later}]


async def test_the_store_hears_of_times_that_a_clock_put_back_corrects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, store = SetClock(monkeypatch), RecordingStore()
    service = await opened(store=store)
    await service.add(Route("/a", TARGET))
    clock.ahead = 86400.0
    service.record({"/a": time.time()})
    clock.ahead = 0.0
    shown = service.get("/a").last_activity
    assert shown <= time.time()
    service.record({})
    assert store.noted[-1] == {"/a": shown}


async def test_the_store_hears_of_times_in_the_future_that_it_had() -> None:
    store = RecordingStore()
    await store.put(Route("/a", TARGET))
    store.known = {"/a": time.time() + 10_000}
    service = await opened(store=store)
    service.record({})
    assert store.noted == [{"/a": service.get("/a").last_activity}]


async def test_activity_from_before_a_restart_holds_unless_a_clock_was_ahead() -> None:
    store = RecordingStore()
    for key in ("/idle", "/ahead", "/unknown"):
        await store.put(Route(key, TARGET))
    started = time.time()
    store.known = {"/idle": 1000.0, "/ahead": started + 10_000, "/gone": 1.0}
    service = await opened(store=store)
    found = {live.route.key: live.last_activity for live in service.all()}
    assert set(found) == {"/idle", "/ahead", "/unknown"}
    assert found["/idle"] == 1000.0
    assert started <= found["/ahead"] == found["/unknown"] <= time.time()


async def test_activity_does_not_outlive_its_route(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SetClock(monkeypatch)
    service = await opened()
    await service.add(Route("/a", TARGET))
    clock.ahead = 1000.0
    service.record({"/a": time.time()})
    clock.ahead = 0.0
    await service.remove("/a")
    await service.add(Route("/a", TARGET))
    assert service.get("/a").last_activity <= time.time()


async def test_a_route_removed_while_all_are_read_is_left_out() -> None:
    service = await opened()
    for name in "abc":
        await service.add(Route(f"/{name}", TARGET))
    reading = service.all()
    seen = [next(reading).route.key]
    await service.remove("/b")
    await service.add(Route("/d", TARGET))
    assert seen + [live.route.key for live in reading] == ["/a", "/c"]


# --- many at once ---


class Replicas:
    """Workers in miniature: each applies its changes late, and new ones join at any time."""

    def __init__(self) -> None:
        self.tables: list[dict[str, Route]] = []
        self._late: list[list[tuple[Sequence[Route], Sequence[str]]]] = []

    def join(self, snapshot: Sequence[Route]) -> None:
        self.tables.append({route.key: route for route in snapshot})
        self._late.append([])

    async def publish(self, put: Sequence[Route], delete: Sequence[str]) -> None:
        for inbox in self._late:
            inbox.append((put, delete))
        for _ in range(random.randrange(4)):
            await asyncio.sleep(0)
        for table, inbox in zip(self.tables, self._late, strict=True):
            while inbox:
                changed, gone = inbox.pop(0)
                table.update((route.key, route) for route in changed)
                for key in gone:
                    del table[key]

    async def caught_up(self) -> None:
        await self.publish((), ())

    async def collect(self) -> None:
        """Nothing to report."""


async def test_parallel_changes_leave_every_worker_with_the_same_table() -> None:
    replicas = Replicas()
    store = RecordingStore()
    service = RouteService(store, replicas)
    await service.open([], [])
    replicas.join(service.snapshot())

    chance = random.Random(7)

    async def churn() -> None:
        for _ in range(12):
            key = f"/user/{chance.randrange(40)}"
            if chance.random() < 0.6:
                await service.add(Route(key, f"http://127.0.0.1:{chance.randrange(1, 65536)}"))
            else:
                with suppress(RouteNotFoundError):
                    await service.remove(key)
        replicas.join(service.snapshot())

    await asyncio.gather(*(churn() for _ in range(30)))
    current = {route.key: route for route in service.snapshot()}
    assert len(replicas.tables) == 31
    assert 0 < len(current) <= 40
    assert all(table == current for table in replicas.tables)
    assert {route.key: route for route in await store.load()} == current
