"""What others change in a shared store, beside what is changed here."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence

import pytest

from hubgate.control.handover import HandedRoutes
from hubgate.control.routes import following
from hubgate.control.routes.following import OwnWrites
from hubgate.control.routes.service import RouteService
from hubgate.errors import FileRouteError, StoreError
from hubgate.model import Route, Source
from hubgate.store.base import StoreChange
from hubgate.tasks import spawn
from tests.control.recording import RecordingStore, RecordingWorkers
from tests.control.routes.shared_table import SharedStore, SharedTable
from tests.control.waiting import until

OURS, THEIRS, FILES = (f"http://127.0.0.1:{port}" for port in (9001, 9002, 9003))


class Side:
    """One hubgate: a service, its store and its workers."""

    def __init__(self, table: SharedTable) -> None:
        self.store = SharedStore(table)
        self.workers = RecordingWorkers()
        self.service = RouteService(self.store, self.workers)

    @property
    def served(self) -> dict[str, str]:
        return {route.key: route.target for route in self.service.snapshot()}

    @property
    def in_workers(self) -> dict[str, str]:
        """What the workers have by now, who began with nothing."""
        table: dict[str, str] = {}
        for put, delete in self.workers.changes:
            table |= {route.key: route.target for route in put}
            for key in delete:
                del table[key]
        return table

    async def agrees(self) -> None:
        """Return when this side serves what is in the store, and so do its workers."""
        routes = self.store.table.routes

        def same() -> bool:
            stored = {key: route.target for key, route in routes.items()}
            return self.served == self.in_workers == stored

        await until(same)


@pytest.fixture
async def table() -> SharedTable:
    return SharedTable()


@pytest.fixture
async def sides(table: SharedTable) -> AsyncIterator[tuple[Side, Side]]:
    pair = Side(table), Side(table)
    for side in pair:
        await side.service.open((), ())
    yield pair
    for side in pair:
        await side.service.close()


def of_file(key: str) -> Route:
    return Route(key, FILES, {"target": FILES}, source=Source.FILE)


Pair = tuple[Side, Side]


async def test_what_one_adds_and_removes_the_other_serves_and_drops(sides: Pair) -> None:
    here, there = sides
    await here.service.add(Route("/a", OURS, {"target": OURS, "user": "a"}))
    await there.agrees()
    live = there.service.get("/a")
    assert live.route == here.service.get("/a").route
    assert live.last_activity > 0
    await there.service.remove("/a")
    await here.agrees()
    assert here.served == {}


async def test_nobody_hears_of_his_own_changes(sides: Pair) -> None:
    here, there = sides
    for key in ("/a", "/b"):
        await here.service.add(Route(key, OURS))
    await there.agrees()
    await here.agrees()
    assert len(here.workers.changes) == 2
    # What was known of own writes is forgotten as soon as nothing older can come.
    await until(lambda: not len(here.service._own))


async def test_a_foreign_change_keeps_the_activity_of_its_route(sides: Pair) -> None:
    here, there = sides
    await here.service.add(Route("/a", OURS))
    await there.agrees()
    active = time.time()
    there.service.record({"/a": active})
    await here.service.add(Route("/a", THEIRS))
    await there.agrees()
    assert there.service.get("/a").last_activity == active


async def test_a_route_of_the_file_shadows_a_foreign_one(table: SharedTable) -> None:
    here, there = Side(table), Side(table)
    await here.service.open([of_file("/docs")], ())
    await there.service.open((), ())
    await there.service.add(Route("/docs", THEIRS))
    await there.service.add(Route("/after", THEIRS))
    await until(lambda: "/after" in here.served)
    assert here.served == {"/docs": FILES, "/after": THEIRS}
    assert here.in_workers == {"/after": THEIRS}
    with pytest.raises(FileRouteError):
        await here.service.remove("/docs")
    await here.service.replace_file_routes([])
    assert here.served["/docs"] == THEIRS
    await here.agrees()
    for side in (here, there):
        await side.service.close()


# --- at the same time ---


@pytest.mark.parametrize("late", ["sent", "answered"])
@pytest.mark.parametrize("delivered_late", [False, True])
async def test_of_two_changes_at_once_the_stores_order_holds(
    sides: Pair, late: str, delivered_late: bool
) -> None:
    """Ours is later in the table, or only its answer is; theirs is heard of before, or after."""
    here, there = sides
    getattr(here.store, late).clear()
    if delivered_late:
        here.store.delivered.clear()
    adding = spawn(here.service.add(Route("/a", OURS)), "add")
    await here.store.reached.wait()
    await there.service.add(Route("/a", THEIRS))
    await asyncio.sleep(0.05)
    getattr(here.store, late).set()
    await adding
    here.store.delivered.set()
    await asyncio.sleep(0.05)
    for side in sides:
        await side.agrees()
    assert here.served == {"/a": OURS if late == "sent" else THEIRS}


async def test_a_removal_of_ours_is_not_undone_by_what_came_before_it(sides: Pair) -> None:
    here, there = sides
    await here.service.add(Route("/a", OURS))
    here.store.delivered.clear()
    await there.agrees()
    await there.service.add(Route("/a", THEIRS))
    await here.service.remove("/a")
    here.store.delivered.set()
    await there.service.add(Route("/after", THEIRS))
    await until(lambda: "/after" in here.served)
    for side in sides:
        await side.agrees()
    assert here.served == {"/after": THEIRS}


async def test_foreign_and_own_changes_reach_the_workers_in_one_order(sides: Pair) -> None:
    here, there = sides

    async def churn(side: Side, target: str) -> None:
        for number in range(50):
            await side.service.add(Route(f"/{number % 7}", f"{target}/{number}"))

    await asyncio.gather(churn(here, OURS), churn(there, THEIRS), churn(here, FILES))
    for side in sides:
        await side.agrees()


async def test_a_write_whose_answer_was_lost_is_served_all_the_same(sides: Pair) -> None:
    here, _ = sides
    here.store.losing = True
    with pytest.raises(StoreError, match="lost"):
        await here.service.add(Route("/a", OURS))
    await here.agrees()
    assert here.served == {"/a": OURS}


async def test_a_slow_worker_does_not_keep_the_next_change_from_the_others(sides: Pair) -> None:
    here, there = sides
    here.workers.gate.clear()
    for key in ("/a", "/b"):
        await there.service.add(Route(key, THEIRS))
    await here.agrees()
    assert "acknowledged" not in here.workers.log
    here.workers.gate.set()


# --- losing sight, ending ---


async def test_a_whole_change_is_loaded_and_only_what_differs_is_published(sides: Pair) -> None:
    here, there = sides
    for key in ("/same", "/moved", "/gone"):
        await here.service.add(Route(key, OURS))
    await there.agrees()
    here.store.delivered.clear()
    await there.service.add(Route("/moved", THEIRS))
    await there.service.remove("/gone")
    del here.workers.changes[:]
    await here.store.skip()
    here.store.delivered.set()
    await until(lambda: here.workers.changes)
    ((put, delete),) = here.workers.changes[-1:]
    await there.agrees()
    assert here.served == there.served == {"/same": OURS, "/moved": THEIRS}
    assert {route.key for route in put} <= {"/moved"}
    assert set(delete) <= {"/gone"}


async def test_a_failure_is_told_once_and_followed_again(
    sides: Pair, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "hubgate.routes")
    monkeypatch.setattr(following, "AGAIN", 0.01)
    here, there = sides
    here.store.loading = [StoreError("not yet"), StoreError("not yet")]
    await here.store.fail(StoreError("no connection"))
    await there.service.add(Route("/a", THEIRS))
    await here.agrees()
    assert here.store.loads == 2
    await there.service.add(Route("/b", THEIRS))
    await here.agrees()
    assert here.store.loads == 2
    told = [record for record in caplog.records if "see others' changes" in record.getMessage()]
    assert [record.levelname for record in told] == ["ERROR", "INFO"]
    assert "no connection" in told[0].getMessage()


async def test_even_a_fault_in_the_store_does_not_end_it(
    sides: Pair, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "AGAIN", 0.01)
    here, there = sides
    await here.store.fail(ZeroDivisionError("a fault"))
    await there.service.add(Route("/a", THEIRS))
    await here.agrees()
    assert "ZeroDivisionError" in caplog.text


async def test_closing_while_a_foreign_change_waits_for_one_of_ours(table: SharedTable) -> None:
    here, there = Side(table), Side(table)
    for side in (here, there):
        await side.service.open((), ())
    here.store.answered.clear()
    adding = spawn(here.service.add(Route("/a", OURS)), "add")
    await here.store.reached.wait()
    await there.service.add(Route("/b", THEIRS))
    await asyncio.sleep(0.05)
    closing = spawn(here.service.close(), "close")
    await until(lambda: not here.store.following)
    assert not closing.done()
    here.store.answered.set()
    await asyncio.gather(adding, closing)
    assert here.store.closed
    assert here.served == here.in_workers == {"/a": OURS}
    await here.service.close()
    await there.service.close()


async def test_what_the_store_has_told_is_taken_before_it_is_handed_over(
    table: SharedTable,
) -> None:
    here, there = Side(table), Side(table)
    for side in (here, there):
        await side.service.open((), ())
    async with here.service._writing:  # as another change would
        await there.service.add(Route("/b", THEIRS))
        await until(lambda: here.store.point[1] == 1)
        stopping = spawn(here.service.stop_following(), "stop")
        await until(lambda: not here.store.following)
        assert not stopping.done()
    await stopping
    assert [route.key for route in here.service.hand_over().stored] == ["/b"]
    for side in (here, there):
        await side.service.close()


async def test_closing_while_the_table_is_loaded_again(
    table: SharedTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "PATIENCE", 0.1)
    here = Side(table)
    await here.service.open((), ())
    loading = asyncio.Event()

    async def load() -> list[Route]:
        loading.set()
        await asyncio.Event().wait()
        return []

    here.store.load = load  # type: ignore[method-assign]
    await here.store.skip()
    await loading.wait()
    await asyncio.wait_for(here.service.close(), 30)
    assert here.store.closed


async def test_what_is_handed_over_is_what_the_workers_heard_of(sides: Pair) -> None:
    here, there = sides
    await here.service.add(Route("/a", OURS))
    await there.agrees()
    await here.service.stop_following()
    await there.service.add(Route("/b", THEIRS))
    await asyncio.sleep(0.05)
    handed = here.service.hand_over()
    assert [route.key for route in handed.stored] == ["/a"]
    assert here.in_workers == {"/a": OURS}


async def test_what_others_did_during_an_upgrade_is_not_undone(table: SharedTable) -> None:
    there = Side(table)
    await there.service.open((), ())
    for key in ("/kept", "/gone", "/moved"):
        await there.service.add(Route(key, OURS))
    handed = there.service.hand_over()
    await there.service.remove("/gone")
    await there.service.add(Route("/moved", THEIRS))
    new = Side(table)
    await new.service.open((), (), handed)
    assert new.served == {"/kept": OURS, "/moved": THEIRS}
    put, delete = handed.changes_to(new.service.snapshot())
    assert ([route.key for route in put], delete) == (["/moved"], ["/gone"])
    for side in (there, new):
        await side.service.close()


async def test_a_store_of_ours_alone_is_given_what_was_handed_over() -> None:
    service = RouteService(RecordingStore(), RecordingWorkers())
    await service.open((), (), HandedRoutes((Route("/a", OURS),)))
    assert [route.key for route in service.snapshot()] == ["/a"]


@pytest.mark.parametrize(
    ("targets", "line"),
    [
        ({"/a": "http://me:hush@127.0.0.1:9"}, "added elsewhere: '/a' -> 'http://...@127.0.0.1:9'"),
        ({"/a": THEIRS, "/b": THEIRS}, "routes changed elsewhere: 2 put, 0 removed"),
    ],
)
async def test_foreign_changes_are_in_the_log(
    sides: Pair, caplog: pytest.LogCaptureFixture, targets: dict[str, str], line: str
) -> None:
    caplog.set_level(logging.INFO, "hubgate.routes")
    here, _ = sides
    routes = tuple(Route(key, target) for key, target in targets.items())
    await here.store.table.write(routes, ())
    await until(lambda: line in caplog.text)
    await here.store.table.write((), ("/a",))
    await until(lambda: "route removed elsewhere: '/a'" in caplog.text)
    assert "hush" not in caplog.text


# --- own writes ---


def change(revision: int, put: Sequence[str] = (), delete: Sequence[str] = ()) -> StoreChange:
    return StoreChange(revision, tuple(Route(key, THEIRS) for key in put), tuple(delete))


def test_only_older_changes_of_the_same_route_are_overtaken() -> None:
    own = OwnWrites()
    own.note("/a", 5)
    assert own.newer(change(4, ["/a", "/b"])) == change(4, ["/b"])
    assert own.newer(change(4, (), ["/a", "/b"])) == change(4, (), ["/b"])
    assert own.newer(change(6, ["/a"])) == change(6, ["/a"])
    assert len(own) == 0


def test_a_store_without_revisions_leaves_nothing_behind() -> None:
    own = OwnWrites()
    own.note("/a", 0)
    assert len(own) == 0
