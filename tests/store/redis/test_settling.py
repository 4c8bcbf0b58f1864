"""Redis comes back with other data: what goes on, what is handed in, and what never returns."""

import asyncio
import shutil
from typing import Any

import pytest
import redis as client

from tests.control.waiting import until
from tests.redis_server import RedisServer
from tests.store.redis.conftest import Start
from tests.store.redis.following import PATIENCE, restart, route, snapshot

pytestmark = pytest.mark.processes


async def test_with_its_data_it_goes_on(server: RedisServer, follow: Start) -> None:
    one, other = await follow("a").start(), await follow("b").start()
    await one.put("/a")
    data = snapshot(server)
    restart(server, data)
    await other.put("/b")
    for each in (one, other):
        await each.has("/a", "/b")
    assert one.store.point == other.store.point


async def test_without_data_it_gets_what_the_hubgates_hold(
    server: RedisServer, follow: Start
) -> None:
    one, other = await follow("a").start(), await follow("b").start()
    await one.put("/a", "/b")
    await other.delete("/b")
    await one.has("/a")
    restart(server, None)
    await one.put("/c")
    for each in (one, other):
        await each.has("/a", "/c")
    late = await follow("c").start()
    await late.has("/a", "/c")


async def test_older_data_brings_nothing_removed_back(server: RedisServer, follow: Start) -> None:
    one, other = await follow("a").start(), await follow("b").start()
    await one.put(*(f"/old{number}" for number in range(100)))
    data = snapshot(server)
    for number in range(100):
        await one.delete(f"/old{number}")
        await other.put(f"/new{number}")
    new = [f"/new{number}" for number in range(100)]
    for each in (one, other):
        await each.has(*new)
    restart(server, data)
    await one.put("/last")
    for each in (one, other):
        await each.has(*new, "/last")


async def test_one_that_slept_is_back_first_and_the_others_hand_in(
    server: RedisServer, follow: Start
) -> None:
    one, sleeper = await follow("a").start(), await follow("sleeper").start()
    await one.put("/kept", "/removed")
    await sleeper.has("/kept", "/removed")
    await sleeper.pause()
    await one.delete("/removed")
    await one.put("/added")
    await one.has("/kept", "/added")
    await one.pause()
    restart(server, None)
    sleeper.resume()
    await sleeper.put("/meanwhile")
    one.resume()
    for each in (one, sleeper):
        await each.has("/kept", "/added", "/meanwhile")


async def test_what_was_changed_since_is_not_handed_in(server: RedisServer, follow: Start) -> None:
    one, sleeper = await follow("a").start(), await follow("sleeper").start()
    await one.put("/a", "/b")
    await sleeper.has("/a", "/b")
    await sleeper.pause()
    await one.put("/a", target="http://late")
    await one.delete("/b")
    await until(lambda: one.table.get("/a") == "http://late" and "/b" not in one.table)
    await one.pause()
    restart(server, None)
    sleeper.resume()
    await sleeper.put("/a", target="http://newer")
    await sleeper.put("/b", target="http://newer")
    one.resume()
    await until(lambda: one.store.point == sleeper.store.point and not one.store.write_obstacle)
    assert one.table == sleeper.table == {"/a": "http://newer", "/b": "http://newer"}


async def test_a_new_one_alone_does_not_empty_the_table(server: RedisServer, follow: Start) -> None:
    one = await follow("a").start()
    await one.put("/a")
    await one.has("/a")
    await one.pause()
    restart(server, None)
    fresh = await follow("fresh").start()
    await fresh.put("/b")
    one.resume()
    for each in (one, fresh):
        await each.has("/a", "/b")


async def test_a_table_that_is_emptied_in_place_comes_back(
    server: RedisServer, follow: Start
) -> None:
    one, other = await follow("a").start(), await follow("b").start()
    await one.put("/a")
    await other.has("/a")
    server.ask("FLUSHALL")
    await other.put("/b")
    for each in (one, other):
        await each.has("/a", "/b")


async def test_a_change_is_refused_while_it_is_settled(server: RedisServer, follow: Start) -> None:
    from hubgate.errors import StoreUnavailableError

    one = await follow("a", settle=1.0).start()
    await one.put("/a")
    server.ask("FLUSHALL")
    with pytest.raises(StoreUnavailableError, match="it is being settled"):
        await one.store.apply([], ["/a"])
    await one.put("/b")
    await one.has("/a", "/b")


async def test_all_restarted_at_once_have_what_redis_has(
    server: RedisServer, follow: Start
) -> None:
    one = await follow("a").start()
    await one.put("/a")
    data = snapshot(server)
    await one.close()
    restart(server, data)
    again = await asyncio.gather(*(follow(name).start() for name in "ab"))
    for each in again:
        await each.has("/a")
    assert shutil.which("redis-server") or shutil.which("valkey-server")


async def test_activity_is_not_lost_with_what_redis_had(server: RedisServer, follow: Start) -> None:
    one = await follow("a").start()
    await one.store.apply([route("/old"), route("/new")], [], {"/old": 1000.0, "/new": 1000.0})
    one.store.note_activity({"/new": 2000.0})
    await one.has("/old", "/new")
    restart(server, None)
    await until(lambda: one.store.write_obstacle is None and server.table(), PATIENCE)
    other = await follow("b").start()
    assert other.store.last_activity() == {"/old": 1000.0, "/new": 2000.0}


async def test_nor_with_older_data(server: RedisServer, follow: Start) -> None:
    one = await follow("a").start()
    await one.store.apply([route("/a")], [], {"/a": 1000.0})
    await one.has("/a")
    data = snapshot(server)
    one.store.note_activity({"/a": 2000.0})
    before = one.store.point[0]
    restart(server, data)
    await until(lambda: one.store.point[0] != before, PATIENCE)
    assert one.store.last_activity() == {"/a": 2000.0}


async def test_one_that_claims_most_and_is_gone_is_not_waited_for_for_ever(
    server: RedisServer, follow: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hubgate.store.redis.settling.WINNER_LIMIT", 0.5)
    one = await follow("a").start()
    await one.put("/a")
    before = one.store.point[0]
    restart(server, None)
    while one.store.point[0] == before:
        server.ask('HSET hubgate:claims ghost [99,1,"x"]')
        await asyncio.sleep(0.02)
    await one.has("/a")


async def test_a_table_that_expired_on_its_way_is_not_taken(
    server: RedisServer, follow: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await follow("a").start()
    keys = [f"/{number}" for number in range(50)]
    await one.put(*keys)
    data = snapshot(server)
    await one.put("/late")
    await one.has(*keys, "/late")
    upload, expired = one.store._settling._upload_members, 0

    async def late(name: str, *args: Any, **options: Any) -> None:
        nonlocal expired
        await upload(name, *args, **options)
        if not expired and name.startswith("hubgate:table:"):
            # As if the machine had slept between two calls.
            expired += 1
            with client.Redis(port=server.port) as redis:
                redis.delete(name)

    monkeypatch.setattr(one.store._settling, "_upload_members", late)
    restart(server, data)
    await one.put("/last")
    assert expired == 1
    await one.has(*keys, "/late", "/last")
    assert sorted(server.table()) == sorted(one.table)


async def test_a_table_that_is_being_settled_is_not_compared(
    server: RedisServer,
    follow: Start,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("hubgate.store.redis.whole_check.INTERVAL", 0.1)
    monkeypatch.setattr("hubgate.store.redis.whole_check.BETWEEN_LOOKS", 0.1)
    one = await follow("a", settle=3.0).start()
    await one.put("/a", "/b")
    await one.has("/a", "/b")
    restart(server, None)
    await one.put("/c")
    await one.has("/a", "/b", "/c")
    assert "Redis gets our table" in caplog.text
    assert "are not what its log says" not in caplog.text
