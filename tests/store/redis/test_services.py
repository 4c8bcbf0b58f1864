"""Whole route services on one Redis: what each shows and tells while it has not read everything."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from hubgate.control.routes.bulk_changes import GivenRoute, merge_patch, whole_table
from hubgate.control.routes.change_log import Revision, SeenTable
from hubgate.control.routes.rows import row
from hubgate.control.routes.service import RouteService
from hubgate.errors import RouteError, StoreUnavailableError, TableChangedError
from hubgate.model import RedisLogin, ReplicaOptions, Route, Source
from hubgate.redis_address import parse_redis
from hubgate.store.base import StoreChange
from hubgate.store.redis.store import RedisStore
from hubgate.tasks import spawn
from tests.control.recording import RecordingWorkers
from tests.control.waiting import until
from tests.redis_server import RedisServer
from tests.store.redis.following import PATIENCE, restart, snapshot

pytestmark = pytest.mark.processes

TARGET, OTHER = "http://127.0.0.1:1", "http://127.0.0.1:2"
DAY = 86400.0


class GatedStore(RedisStore):
    """A store that reads nothing new while its gate is shut."""

    def __init__(self, url: str, name: str, settle: float) -> None:
        times = {"wait": 0.0, "lease": 3.0, "settle": settle}
        super().__init__(parse_redis(url), RedisLogin(), ReplicaOptions(name, **times))
        self.gate = asyncio.Event()
        self.gate.set()

    async def _follow(self) -> AsyncIterator[StoreChange]:
        async for change in super()._follow():
            await self.gate.wait()
            yield change


class Replica:
    """A service with such a store."""

    def __init__(self, url: str, name: str, settle: float = 0.4) -> None:
        self.store = GatedStore(url, name, settle)
        self.service = RouteService(self.store, RecordingWorkers())

    async def start(self) -> "Replica":
        await self.service.open((), ())
        self.service.begun()
        return self

    @property
    def revision(self) -> Revision:
        return self.service.changes.revision

    @property
    def keys(self) -> list[str]:
        return sorted(each.key for each in self.service.snapshot())

    def idle(self, key: str) -> float:
        """Return how long ago a route was active, in seconds."""
        return time.time() - self.service.get(key).last_activity

    def told(self, since: Revision) -> list[tuple[list[str], list[str]]]:
        changes = self.service.changes.after(since)
        return [(sorted(r.key for r in each.put), sorted(each.delete)) for each in changes]


Pair = tuple[Replica, Replica]


@pytest_asyncio.fixture
async def replicas(server: RedisServer) -> AsyncIterator[Pair]:
    pair = Replica(server.url, "a"), Replica(server.url, "b")
    for each in pair:
        await each.start()
    yield pair
    for each in pair:
        await each.service.close()


def route(key: str, target: str = TARGET) -> Route:
    return row(Route(key, target, {"target": target}), Source.API)


def make(key: str, data: dict[str, Any]) -> GivenRoute:
    if "target" not in data:
        raise RouteError("needs a target")
    return GivenRoute(row(Route(key, data["target"], data), Source.API))


BOTH = {"/x": {"target": TARGET}, "/y": {"target": TARGET}}


async def test_an_identical_route_takes_no_revision_from_a_change_that_is_not_read_yet(
    replicas: Pair,
) -> None:
    here, there = replicas
    begun = there.revision
    there.store.gate.clear()
    await here.service.change(merge_patch(BOTH, make))
    await there.service.add(route("/x"))
    assert there.keys == ["/x"]
    seen = SeenTable(frozenset({str(there.revision)}))
    there.store.gate.set()
    await until(lambda: there.keys == ["/x", "/y"])
    assert there.told(begun) == here.told(begun) == [(["/x", "/y"], [])]
    assert there.revision == here.revision
    with pytest.raises(TableChangedError):
        await there.service.change(whole_table({}, True, lambda key: True), seen)


async def test_nor_does_a_removal_of_what_is_gone(replicas: Pair) -> None:
    here, there = replicas
    await here.service.change(merge_patch(BOTH, make))
    await until(lambda: there.revision == here.revision)
    begun = there.revision
    there.store.gate.clear()
    await here.service.change(merge_patch({"/x": None, "/y": None}, make))
    await there.service.remove("/x")
    there.store.gate.set()
    await until(lambda: not there.keys)
    assert there.told(begun) == here.told(begun) == [([], ["/x", "/y"])]


async def test_a_patch_of_a_route_that_is_gone_does_not_bring_it_back(replicas: Pair) -> None:
    here, there = replicas
    await here.service.add(route("/x"))
    await until(lambda: there.keys == ["/x"])
    there.store.gate.clear()
    await here.service.remove("/x")
    asyncio.get_running_loop().call_later(0.2, there.store.gate.set)
    # It is planned again once the removal has been read; by itself it is no route.
    with pytest.raises(RouteError, match="needs a target"):
        await there.service.change(merge_patch({"/x": {"note": 1}}, make))
    assert here.keys == there.keys == []


async def test_a_route_that_is_replaced_elsewhere_was_active_then(replicas: Pair) -> None:
    here, there = replicas
    old = GivenRoute(route("/x"), time.time() - DAY)
    await here.service.change(whole_table({"/x": old}, True, lambda key: True))
    await until(lambda: there.revision == here.revision)
    assert there.idle("/x") > DAY - 60
    await there.service.add(route("/x", OTHER))
    await until(lambda: here.service.get("/x").route.target == OTHER)
    assert here.idle("/x") < 60


async def test_activity_of_a_change_that_is_overtaken_does_not_count(replicas: Pair) -> None:
    here, there = replicas
    there.store.gate.clear()
    old = GivenRoute(route("/x"), time.time() - DAY)
    await here.service.change(whole_table({"/x": old}, True, lambda key: True))
    await there.service.add(route("/x", OTHER))
    there.store.gate.set()
    await until(lambda: there.revision.number == 2)
    assert there.idle("/x") < 60


async def test_who_reads_late_has_the_moment_of_the_change(replicas: Pair) -> None:
    here, there = replicas
    there.store.gate.clear()
    await here.service.add(route("/x"))
    await asyncio.sleep(1.5)
    there.store.gate.set()
    await until(lambda: there.keys == ["/x"])
    assert abs(here.idle("/x") - there.idle("/x")) < 1


async def test_a_change_does_not_wait_for_a_table_that_is_loaded_while_it_is_settled(
    server: RedisServer,
) -> None:
    one = await Replica(server.url, "a", settle=10.0).start()
    await one.service.add(route("/x"))
    server.kill()
    server.forget()
    server.start()
    loading = spawn(one.service._take(StoreChange(0, whole=True)), "of a test")
    await until(lambda: one.store.write_obstacle is not None)
    begun = time.monotonic()
    with pytest.raises(StoreUnavailableError):
        await one.service.add(route("/y"))
    assert time.monotonic() < begun + 5
    loading.cancel()
    await asyncio.wait({loading})
    await one.service.close()


async def test_what_was_handed_over_is_given_back_to_a_redis_that_loses_it(
    server: RedisServer,
) -> None:
    before = await Replica(server.url, "a").start()
    await before.service.add(route("/x"))
    await before.service.add(route("/y", OTHER))
    await until(lambda: before.store.point[1] == 2)
    await before.service.stop_following()
    handed = before.service.hand_over()
    server.kill()
    await before.service.close(leave=False)
    after = Replica(server.url, "a")
    await after.service.open((), (), handed)
    after.service.begun()
    assert after.keys == ["/x", "/y"]
    restart(server, None)
    await until(lambda: after.store.write_obstacle is None, PATIENCE)
    assert after.keys == ["/x", "/y"]
    assert server.table() == {"/x": TARGET, "/y": OTHER}
    await after.service.close()


async def test_an_upgrade_while_redis_is_away_does_not_make_everything_sure(
    server: RedisServer,
) -> None:
    before = await Replica(server.url, "a").start()
    await before.service.add(route("/x"))
    await until(lambda: before.store.point[1] == 1)
    restart(server, snapshot(server))
    await until(lambda: before.store.write_obstacle is not None)
    await until(lambda: before.store.write_obstacle is None and not before.store.is_sure("/x"))
    await before.service.stop_following()
    handed, data = before.service.hand_over(), snapshot(server)
    server.kill()
    await before.service.close(leave=False)
    after = Replica(server.url, "a")
    await after.service.open((), (), handed)
    assert not after.store.is_sure("/x")
    restart(server, data)
    await until(lambda: after.store.write_obstacle is None, PATIENCE)
    assert not after.store.is_sure("/x")
    await after.service.close()


async def test_what_was_handed_over_is_not_for_another_table(server: RedisServer) -> None:
    before = await Replica(server.url, "a").start()
    await before.service.add(route("/x"))
    await until(lambda: before.store.point[1] == 1)
    handed = before.service.hand_over()
    await before.service.close()
    after = Replica(f"{server.url}?prefix=other", "a")
    await after.service.open((), (), handed)
    assert after.keys == []
    await after.service.close()


async def test_what_was_written_last_before_it_was_handed_over_is_not_lost(
    server: RedisServer,
) -> None:
    before = await Replica(server.url, "a").start()
    await before.service.change(merge_patch({**BOTH, "/old": {"target": TARGET}}, make))
    await until(lambda: before.store.point[1] == 1)
    data = snapshot(server)
    await before.service.stop_following()
    await before.service.add(route("/new"))
    await before.service.add(route("/x", OTHER))
    await before.service.remove("/old")
    handed = before.service.hand_over()
    await before.service.close(leave=False)
    # To a replica of it, for one, that had not heard of the last changes.
    restart(server, data)
    after = Replica(server.url, "a")
    await after.service.open((), (), handed)
    assert after.keys == ["/new", "/x", "/y"]
    assert server.table() == {"/new": TARGET, "/x": OTHER, "/y": TARGET}
    await after.service.close()


async def test_the_activity_that_was_handed_over_does_not_set_that_of_others_back(
    replicas: Pair,
) -> None:
    here, there = replicas
    await here.service.add(route("/x"))
    await until(lambda: there.keys == ["/x"])
    await here.service.stop_following()
    handed = here.service.hand_over()
    await here.service.close(leave=False)
    active = time.time() + 0.5
    await asyncio.sleep(1)
    there.service.record({"/x": active})
    await there.store._activity.write()
    after = Replica(str(here.store._address), "a")
    await after.service.open((), (), handed)
    assert abs(after.service.get("/x").last_activity - active) < 0.1
    await after.service.close()


async def test_a_table_of_what_is_there_confirms_it(server: RedisServer, replicas: Pair) -> None:
    here, _ = replicas
    old = {key: GivenRoute(route(key), time.time() - DAY) for key in BOTH}
    await here.service.change(whole_table(old, True, lambda key: True))
    restart(server, snapshot(server))
    await until(lambda: here.store.write_obstacle is not None)
    await until(lambda: here.store.write_obstacle is None and not here.store.is_sure("/x"))
    given = {key: make(key, dict(data)) for key, data in BOTH.items()}
    done = await here.service.change(whole_table(given, True, lambda key: True))
    assert done.change.added == done.change.changed == []
    await until(lambda: here.store.is_sure("/x") and here.store.is_sure("/y"))
    assert here.idle("/x") > DAY - 60, "nobody was active"
