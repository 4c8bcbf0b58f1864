"""When routes were last active: what one knows reaches the others, in few writes."""

import asyncio
import time

import pytest
import redis as client

from hubgate.tasks import spawn
from tests.control.waiting import until
from tests.redis_server import RedisServer
from tests.store.redis.conftest import Start
from tests.store.redis.following import route

pytestmark = pytest.mark.processes


async def test_activity_of_one_reaches_the_others(
    follow: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hubgate.store.redis.activity.INTERVAL", 0.05)
    one, other = await follow("a").start(), await follow("b").start()
    await one.put("/a")
    soon = time.time() + 1
    one.store.note_activity({"/a": soon, "/unknown": soon})
    await until(lambda: any("/a" in change.active for change in other.changes))
    late = await follow("c").start()
    known = late.store.last_activity()
    assert set(known) == {"/a"}
    # A clock that is ahead does not count further than Redis's own.
    assert known["/a"] <= time.time()


async def test_activity_between_two_looks_is_not_missed(follow: Start) -> None:
    one, other = await follow("a").start(), await follow("b").start()
    await one.put("/a")
    await other.has("/a")
    await other.pause()
    await one.put("/a")  # again, which is activity
    await one.close()  # which writes it
    other.resume()
    await until(lambda: any("/a" in change.active for change in other.changes))


async def test_an_identical_route_costs_redis_no_write(follow: Start, server: RedisServer) -> None:
    one = await follow("a", lease=60.0).start()
    await one.put("/a")
    with client.Redis(port=server.port) as redis:
        redis.config_resetstat()
        for _ in range(20):
            await one.put("/a")
        calls = redis.info("commandstats")
    assert not calls.keys() & {"cmdstat_hset", "cmdstat_set"}


async def test_activity_is_known_to_one_that_heard_nothing_for_long(
    follow: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hubgate.store.redis.store.SILENCE", 0.5)
    one, other = await follow("a").start(), await follow("b").start()
    await one.put("/u", "/v")
    await other.has("/u", "/v")
    await other.pause()
    active = time.time()
    one.store.note_activity({"/u": active})
    await one.store._activity.write()
    for _ in range(400):
        one.store.note_activity({"/v": time.time()})
        await one.store._activity.write()
    other.resume()
    await until(lambda: any("/u" in change.active for change in other.changes))
    assert abs(other.store._held.activity["/u"] - active) < 1


async def test_a_batch_that_is_cut_short_is_written_later(
    follow: Start, server: RedisServer
) -> None:
    one = await follow("a").start()
    await one.put("/a")
    await asyncio.sleep(1.1)
    active = time.time()
    one.store.note_activity({"/a": active})
    server.ask("CLIENT PAUSE 60000 WRITE")
    writing = spawn(one.store._activity.write(), "of a test")
    await asyncio.sleep(0.3)
    writing.cancel()
    await asyncio.wait({writing})
    server.ask("CLIENT UNPAUSE")
    await one.store._activity.write()
    with client.Redis(port=server.port) as redis:
        assert abs(float(redis.hget("hubgate:activity", "/a")) - active) < 0.1


async def test_what_is_known_already_is_not_told_again(follow: Start) -> None:
    one = await follow("a").start()
    await one.put("/a")
    # By a clock that is ahead, too: for Redis it was just now.
    for ahead in (0.0004567, 60.0):
        one.store.note_activity({"/a": time.time() + ahead})
        await one.store._activity.write()
        await one.store.load()
        assert repr(one.store._activity) == "<Activity, 0 to tell>"


async def test_what_was_noted_is_not_set_back_before_it_is_told(
    follow: Start, server: RedisServer
) -> None:
    one = await follow("a").start()
    await one.store.apply([route("/a")], [], {"/a": 1000.0})
    active = time.time()
    for moment in (active, 1000.0):
        one.store.note_activity({"/a": moment})
    await one.store._activity.write()
    with client.Redis(port=server.port) as redis:
        assert abs(float(redis.hget("hubgate:activity", "/a")) - active) < 0.1
