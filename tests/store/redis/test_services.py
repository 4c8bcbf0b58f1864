"""Whole route services on one Redis: what each shows and tells while it has not read everything."""

import asyncio
import time

import pytest

from hubgate.control.routes.bulk_changes import GivenRoute, merge_patch, whole_table
from hubgate.control.routes.change_log import SeenTable
from hubgate.errors import RouteError, StoreUnavailableError, TableChangedError
from hubgate.store.base import StoreChange
from hubgate.tasks import spawn
from tests.control.waiting import until
from tests.redis_server import RedisServer
from tests.store.redis.whole_services import (
    BOTH,
    DAY,
    OTHER,
    Pair,
    Replica,
    make,
    route,
    start_again,
)

pytestmark = pytest.mark.processes


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


async def test_a_table_of_what_is_there_confirms_it(server: RedisServer, replicas: Pair) -> None:
    here, _ = replicas
    old = {key: GivenRoute(route(key), time.time() - DAY) for key in BOTH}
    await here.service.change(whole_table(old, True, lambda key: True))
    await start_again(server, here)
    given = {key: make(key, dict(data)) for key, data in BOTH.items()}
    done = await here.service.change(whole_table(given, True, lambda key: True))
    assert done.change.added == done.change.changed == []
    await until(lambda: here.store.is_sure("/x") and here.store.is_sure("/y"))
    assert here.idle("/x") > DAY - 60, "nobody was active"


async def test_the_same_table_once_more_is_no_activity(replicas: Pair) -> None:
    here, there = replicas
    await here.service.stop_following()  # it reads nothing of what it writes
    old = {key: GivenRoute(route(key), time.time() - DAY) for key in BOTH}
    await here.service.change(whole_table(old, True, lambda key: True))
    given = {key: make(key, dict(data)) for key, data in BOTH.items()}
    await here.service.change(whole_table(given, True, lambda key: True))
    await here.store._activity.write()
    await there.service.add(route("/later"))
    await until(lambda: there.keys == ["/later", "/x", "/y"])
    heard = there.store._activity.read_up_to
    there.service.record({"/later": time.time()})
    await there.store._activity.write()
    await until(lambda: there.store._activity.read_up_to != heard)
    for each in replicas:
        assert each.idle("/x") > DAY - 60


async def test_nor_does_a_patch_that_changes_nothing(server: RedisServer, replicas: Pair) -> None:
    here, there = replicas
    await here.service.change(merge_patch(BOTH, make))
    await until(lambda: there.keys == ["/x", "/y"])
    await start_again(server, here, there)
    there.store.gate.clear()
    await here.service.remove("/x")
    asyncio.get_running_loop().call_later(0.2, there.store.gate.set)
    with pytest.raises(RouteError, match="needs a target"):
        await there.service.change(merge_patch({"/x": {}}, make))
    assert sorted(server.table()) == ["/y"]
