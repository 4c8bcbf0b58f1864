"""Revisions of a shared table: the same on every replica, and a plan is for one of them."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hubgate.control.routes.bulk_changes import BulkChange, GivenRoute, merge_patch, whole_table
from hubgate.control.routes.change_log import LoggedChange, MissedError, Revision, SeenTable
from hubgate.control.routes.live_table import LiveTable
from hubgate.control.routes.rows import row
from hubgate.control.routes.service import RouteService
from hubgate.errors import RouteNotFoundError, TableChangedError
from hubgate.model import Route, Source
from hubgate.store.base import StoreChange
from hubgate.tasks import spawn
from tests.control.recording import RecordingStore, RecordingWorkers
from tests.control.routes.shared_table import SharedStore, SharedTable
from tests.control.waiting import until

TARGET, OTHER = "http://127.0.0.1:1", "http://127.0.0.1:2"


class Replica:
    """A service, its store and its workers."""

    def __init__(self, table: SharedTable) -> None:
        self.store = SharedStore(table)
        self.workers = RecordingWorkers()
        self.service = RouteService(self.store, self.workers)

    @property
    def revision(self) -> Revision:
        return self.service.changes.revision

    async def reaches(self, number: int) -> None:
        """Wait until it knows all changes up to that one."""
        await until(lambda: self.revision.number == number)


@pytest.fixture
async def replicas() -> AsyncIterator[tuple[Replica, Replica]]:
    table = SharedTable()
    pair = Replica(table), Replica(table)
    for each in pair:
        await each.service.open((), ())
    yield pair
    for each in pair:
        await each.service.close()


Pair = tuple[Replica, Replica]


def route(key: str, target: str = TARGET) -> Route:
    return row(Route(key, target, {"target": target}), Source.API)


def fixed(key: str) -> Route:
    return Route(key, TARGET, {"target": TARGET}, source=Source.FILE)


def make(key: str, data: dict[str, Any]) -> GivenRoute:
    return GivenRoute(row(Route(key, data["target"], data), Source.API))


def seen(replica: Replica) -> SeenTable:
    return SeenTable(frozenset({str(replica.revision)}))


def keys(change: LoggedChange) -> tuple[list[str], list[str]]:
    return [each.key for each in change.put], list(change.delete)


async def test_every_replica_has_the_same_and_tells_the_same(replicas: Pair) -> None:
    here, there = replicas
    begun = here.revision
    assert there.revision == begun
    await here.service.add(route("/a"))
    assert here.revision.number == 1  # at once, without a look at the log
    await there.reaches(1)
    await there.service.add(route("/b"))
    await there.service.remove("/a")
    await here.reaches(3)
    assert here.revision == there.revision
    for each in replicas:
        told = [*map(keys, each.service.changes.after(begun))]
        assert told == [(["/a"], []), (["/b"], []), ([], ["/a"])]


async def test_a_change_that_comes_early_is_told_in_its_turn(replicas: Pair) -> None:
    here, there = replicas
    begun = here.revision
    here.store.delivered.clear()
    await there.service.add(route("/a"))
    await here.service.add(route("/b"))
    assert here.service.get("/b").route.target == TARGET
    assert here.revision == begun
    here.store.delivered.set()
    await here.reaches(2)
    assert [*map(keys, here.service.changes.after(begun))] == [(["/a"], []), (["/b"], [])]


async def test_a_plan_is_made_again_for_a_route_that_others_have_changed(replicas: Pair) -> None:
    here, there = replicas
    await here.service.add(row(Route("/a", TARGET, {"target": TARGET, "theirs": 1}), Source.API))
    await there.reaches(1)
    here.store.delivered.clear()
    await there.service.add(row(Route("/a", TARGET, {"target": TARGET, "theirs": 2}), Source.API))
    plans: list[Any] = []
    wanted = merge_patch({"/a": {"ours": 1}}, make)

    async def plan(table: LiveTable) -> BulkChange:
        plans.append(table.of(Source.API)["/a"].data["theirs"])
        return await wanted(table)

    patching = spawn(here.service.change(plan), "patch")
    await until(lambda: plans)
    here.store.delivered.set()
    await patching
    assert plans == [1, 2]
    assert here.store.table.routes["/a"].data == {"target": TARGET, "theirs": 2, "ours": 1}


async def test_a_plan_stands_when_others_change_other_routes(replicas: Pair) -> None:
    here, there = replicas
    here.store.delivered.clear()
    await there.service.add(route("/theirs"))
    wanted = whole_table({"/ours": make("/ours", {"target": TARGET})}, False, lambda _: True)
    assert (await here.service.change(wanted)).change.added == ["/ours"]
    here.store.delivered.set()
    assert {*here.store.table.routes} == {"/ours", "/theirs"}  # as if it were added after that


async def test_a_change_for_the_table_that_was_seen_is_refused_after_others(replicas: Pair) -> None:
    here, there = replicas
    before = seen(here)
    here.store.delivered.clear()
    await there.service.add(route("/a"))
    adding = spawn(here.service.add(route("/b"), before), "add")
    changing = spawn(here.service.change(merge_patch({"/c": {"target": TARGET}}, make), before), "")
    await asyncio.sleep(0.01)
    here.store.delivered.set()
    for task in (adding, changing):
        with pytest.raises(TableChangedError, match="get it again"):
            await task
    assert {*here.store.table.routes} == {"/a"}
    await here.service.add(route("/b"), seen(here))
    await here.service.remove("/a", seen(here))
    await there.reaches(3)


async def test_what_is_there_already_is_no_change(replicas: Pair) -> None:
    here, there = replicas
    await here.service.add(route("/a"))
    await there.reaches(1)
    active = there.service.get("/a").last_activity
    await there.service.add(route("/a"))
    assert there.revision.number == 1
    assert len(there.workers.changes) == 1
    assert there.service.get("/a").last_activity > active


async def test_nor_is_it_in_a_store_of_our_own() -> None:
    written: list[str] = []
    store, workers = RecordingStore(written), RecordingWorkers()
    service = RouteService(store, workers)
    await service.open((), ())
    await service.add(route("/a"))
    before, active = service.changes.revision, service.get("/a").last_activity
    del written[:]
    await service.add(route("/a"))
    assert (written, len(workers.changes)) == ([], 1)
    assert service.changes.revision == before
    assert service.get("/a").last_activity > active
    assert store.noted[-1].keys() == {"/a"}  # it counts as activity after a restart too
    await service.close()


async def test_it_waits_for_what_is_on_its_way_to_the_workers(replicas: Pair) -> None:
    here, _ = replicas
    here.workers.gate.clear()
    first = spawn(here.service.add(route("/a")), "first")
    await here.workers.published.wait()
    again = spawn(here.service.add(route("/a")), "again")
    await asyncio.sleep(0.02)
    assert not again.done()
    here.workers.gate.set()
    await asyncio.gather(first, again)


async def test_other_fixed_routes_are_another_table(replicas: Pair) -> None:
    here, there = replicas
    before = here.revision
    await here.service.replace_file_routes([fixed("/docs")])
    assert here.revision != before
    assert here.revision.number == before.number
    with pytest.raises(MissedError) as missed:
        here.service.changes.after(before)
    assert not missed.value.too_slow
    await there.service.replace_file_routes([fixed("/docs")])
    assert there.revision == here.revision
    for each in replicas:
        await each.service.replace_file_routes([])
        assert each.revision == before


async def test_what_is_loaded_whole_is_as_of_the_revision_there(replicas: Pair) -> None:
    here, there = replicas
    await here.service.add(route("/a"))
    here.store.delivered.clear()
    await there.service.add(route("/a", OTHER))
    await here.store.skip()
    here.store.delivered.set()
    await until(lambda: here.revision.number >= 3)
    assert here.service.get("/a").route.target == OTHER
    await until(lambda: here.store.acknowledged[-1] == here.store.point)


async def test_a_removal_of_what_is_not_known_yet_is_asked_of_the_store(replicas: Pair) -> None:
    here, there = replicas
    here.store.delivered.clear()
    await there.service.add(route("/a"))
    with pytest.raises(RouteNotFoundError):
        await here.service.remove("/never")
    await here.service.remove("/a")
    here.store.delivered.set()
    await until(lambda: not here.store.table.routes)
    await here.reaches(2)
    assert not [*here.service.all()]


async def test_activity_by_a_clock_that_is_ahead_of_ours_counts_as_now(replicas: Pair) -> None:
    here, _ = replicas
    await here.service.add(route("/a"))
    before = here.service.get("/a").last_activity
    await here.store.table.tell(StoreChange(0, active={"/a": time.time() + 60}))
    await until(lambda: here.service.get("/a").last_activity > before)
    assert here.service.get("/a").last_activity <= time.time()
