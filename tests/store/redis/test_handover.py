"""What one release hands over to the next of what it holds of a table in Redis."""

import asyncio
import time
from typing import Any

import pytest
import redis as client

from hubgate.control.routes import following
from hubgate.control.routes.bulk_changes import merge_patch
from hubgate.errors import StoreUnavailableError
from hubgate.tasks import spawn
from tests.control.waiting import until
from tests.redis_server import RedisServer
from tests.store.redis.following import PATIENCE, restart, snapshot
from tests.store.redis.whole_services import (
    BOTH,
    OTHER,
    TARGET,
    Pair,
    Replica,
    make,
    route,
    start_again,
)

pytestmark = pytest.mark.processes


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
    await start_again(server, before)
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


async def test_activity_that_was_not_told_is_handed_over(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await Replica(server.url, "a").start()
    await before.service.add(route("/x"))
    await until(lambda: before.store.point[1] == 1)
    await asyncio.sleep(1.1)
    active = time.time()
    before.service.record({"/x": active})

    async def fails() -> None:
        raise StoreUnavailableError("away")

    monkeypatch.setattr(before.store._activity, "write", fails)  # cut off at that moment
    await before.service.stop_following()
    handed = before.service.hand_over()
    await before.service.close(leave=False)
    after = Replica(server.url, "a")
    await after.service.open((), (), handed)
    await after.store._activity.write()
    with client.Redis(port=server.port) as redis:
        assert abs(float(redis.hget("hubgate:activity", "/x")) - active) < 0.1
    await after.service.close()


async def test_what_was_loaded_and_is_not_served_yet_is_not_handed_over(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "PATIENCE", 0.2)
    other, before = Replica(server.url, "a"), Replica(server.url, "z")
    for each in (other, before):
        await each.start()
    await other.service.add(route("/a"))
    await until(lambda: before.keys == ["/a"])
    data, began = snapshot(server), asyncio.Event()

    async def slow(*_: Any) -> None:  # a large table on a busy machine
        began.set()
        await asyncio.sleep(60)

    monkeypatch.setattr(before.service._table, "replace", slow)
    many = {f"/n{number}": {"target": TARGET} for number in range(600)}
    await other.service.change(merge_patch(many, make))
    await asyncio.wait_for(began.wait(), PATIENCE)
    await before.service.stop_following()
    handed = before.service.hand_over()
    assert before.store.point == other.store.point
    assert len(handed.stored) == 1
    await before.service.close(leave=False)
    server.kill()
    after = Replica(server.url, "z")
    opening = spawn(after.service.open((), (), handed), "of a test")
    restart(server, data)
    await opening
    await until(lambda: len(after.keys) == len(other.keys) == len(server.table()) == 601, PATIENCE)
    for each in (other, after):
        await each.service.close()
