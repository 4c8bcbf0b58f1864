"""What Redis has lost is handed in by those who hold it, whoever comes first."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
import redis as client

from hubgate.errors import StoreUnavailableError
from hubgate.store.redis import handing_in
from hubgate.store.redis.handing_in import HandingIn
from hubgate.store.redis.keys import gone_name, route_text
from tests.control.waiting import until
from tests.redis_server import RedisServer
from tests.store.redis.conftest import Start
from tests.store.redis.following import AHEAD, fell_back, restart, route, snapshot, versions

pytestmark = pytest.mark.processes


async def test_the_one_that_knows_less_comes_first(server: RedisServer, follow: Start) -> None:
    sleeper, (less, more) = await fell_back(server, follow, (["/a", "/b"], []), (["/c"], ["/a"]))
    less.resume()
    await less.has("/stays", "/meanwhile", "/a", "/b")
    more.resume()
    for each in (sleeper, less, more):
        await each.has("/stays", "/meanwhile", "/b", "/c")


async def test_the_one_that_knows_less_comes_last(server: RedisServer, follow: Start) -> None:
    sleeper, (less, more) = await fell_back(server, follow, (["/a"], []), ([], ["/a"]))
    more.resume()
    await until(lambda: "/meanwhile" in more.table and not more.store.write_obstacle)
    less.resume()
    await until(lambda: "/meanwhile" in less.table and not less.store.write_obstacle)
    await less.put("/last")
    for each in (sleeper, less, more):
        await each.has("/stays", "/meanwhile", "/last")


async def test_what_was_changed_after_it_was_handed_in_stays(
    server: RedisServer, follow: Start
) -> None:
    sleeper, (less, more) = await fell_back(server, follow, (["/a"], []), (["/b"], ["/a"]))
    less.resume()
    await less.has("/stays", "/meanwhile", "/a")
    await sleeper.put("/a", target="http://newer")
    more.resume()
    for each in (sleeper, less, more):
        await each.has("/stays", "/meanwhile", "/a", "/b")
    assert more.table["/a"] == "http://newer"


async def test_a_large_change_is_handed_in(server: RedisServer, follow: Start) -> None:
    keys = [f"/{number}" for number in range(1200)]
    sleeper, (other,) = await fell_back(server, follow, (keys, ["/stays"]))
    other.resume()
    for each in (sleeper, other):
        await each.has("/meanwhile", *keys)


async def test_what_a_large_change_removed_is_not_handed_in(
    server: RedisServer, follow: Start
) -> None:
    keys = [f"/{number}" for number in range(600)]
    sleeper, (other,) = await fell_back(server, follow, (["/mine", "/late"], []))
    # They are put and removed again while nobody else knows of them.
    await sleeper.put("/mine", *keys)
    await sleeper.delete("/mine", *keys)
    other.resume()
    for each in (sleeper, other):
        await each.has("/stays", "/meanwhile", "/late")


async def test_a_table_of_its_own_begins_meanwhile(server: RedisServer, follow: Start) -> None:
    one = await follow("a").start()
    await one.put("/a")
    await one.close()
    # All that it has is what it was started with.
    one = await follow("a").start()
    await one.pause()
    restart(server, None)
    fresh = await follow("fresh").start()
    for number in range(5):
        await fresh.put(f"/fresh{number}")
    one.resume()
    for each in (one, fresh):
        await each.has("/a", *(f"/fresh{number}" for number in range(5)))


async def test_a_table_is_not_loaded_before_it_is_settled(
    server: RedisServer, follow: Start
) -> None:
    one = await follow("a").start()
    await one.put("/a", "/b")
    data = snapshot(server)
    await one.delete("/a")
    await one.put("/c")
    await one.has("/b", "/c")
    await one.pause()
    restart(server, data)
    # As after a whole change that could not be loaded; a connection may be found to be closed.
    routes = None
    while routes is None:
        with suppress(StoreUnavailableError):
            routes = await one.store.load()
    assert sorted(each.key for each in routes) == ["/b", "/c"]


async def test_entries_of_another_history_are_not_taken_for_the_next(
    server: RedisServer, follow: Start
) -> None:
    one = await follow("a", lease=30.0).start()
    await one.put("/a")
    await one.has("/a")
    with client.Redis(port=server.port) as redis:
        fields = {"w": "x", "h": "7-else", "p/foreign": route_text(route("/foreign"))}
        redis.xadd("hubgate:log", fields, id="2-0")
    await until(lambda: one.store.write_obstacle == "unsettled" or "/foreign" in one.table)
    assert "/foreign" not in one.table


async def test_all_have_a_lease_when_a_history_begins(server: RedisServer, follow: Start) -> None:
    one, other = await follow("a", lease=30.0).start(), await follow("b", lease=30.0).start()
    await one.put("/a")
    await other.has("/a")
    begun = time.monotonic()
    restart(server, None)
    written = await one.put("/b")
    assert time.monotonic() < begun + 10, "by then they would have one anyway"
    assert written.holders == {"a", "b"}


async def test_what_was_removed_before_another_start_does_not_come_back(
    server: RedisServer, follow: Start
) -> None:
    sleeper, (more,) = await fell_back(server, follow, (["/a", "/b"], []))
    await sleeper.put("/a")
    await sleeper.delete("/a")
    await sleeper.put("/b", target="http://newer")
    # With its data, and yet it is another history.
    restart(server, snapshot(server))
    await sleeper.put("/c")
    more.resume()
    for each in (sleeper, more):
        await each.has("/stays", "/meanwhile", "/b", "/c")
    assert more.table["/b"] == "http://newer"


async def test_what_another_handed_in_before_another_start_is_not_newer(
    server: RedisServer, follow: Start
) -> None:
    sleeper = await follow("sleeper").start()
    less, more = await follow("less").start(), await follow("more").start()
    await sleeper.put("/stays")
    await sleeper.pause()
    data = snapshot(server)
    written = await more.put("/a", target="http://old")
    await until(lambda: less.store.point[1] >= written.revision)
    await less.pause()
    written = await more.put("/a", target="http://new")
    await until(lambda: more.store.point[1] >= written.revision)
    await more.pause()
    restart(server, data)
    sleeper.resume()
    await sleeper.put("/meanwhile")
    less.resume()
    await less.has("/stays", "/meanwhile", "/a")
    restart(server, snapshot(server))
    await less.put("/late")
    more.resume()
    for each in (sleeper, less, more):
        await each.has("/stays", "/meanwhile", "/late", "/a")
        await until(lambda each=each: each.table["/a"] == "http://new")


async def test_what_was_removed_is_known_to_a_redis_that_was_empty(
    server: RedisServer, follow: Start
) -> None:
    one = await follow("a").start()
    await one.put("/a", "/b")
    await one.delete("/a")
    await one.has("/b")
    restart(server, None)
    await one.put("/c")
    with client.Redis(port=server.port) as redis:
        assert redis.zrange("hubgate:gone", 0, -1) == [gone_name("/a").encode()]


async def test_handing_in_does_not_set_activity_back(server: RedisServer, follow: Start) -> None:
    one, other = await follow("a").start(), await follow("b").start()
    await one.put("/u")
    await other.has("/u")
    await other.pause()
    data = snapshot(server)
    written = await one.put("/u", target="http://new")
    await until(lambda: one.store.point[1] >= written.revision)
    await one.pause()
    restart(server, data)
    other.resume()
    await until(lambda: other.store.write_obstacle is None)
    await asyncio.sleep(1.1)
    active = time.time()
    other.store.note_activity({"/u": active})
    await other.store._activity.write()
    one.resume()
    await until(lambda: other.table["/u"] == "http://new")
    with client.Redis(port=server.port) as redis:
        assert abs(float(redis.hget("hubgate:activity", "/u")) - active) < 1


async def test_a_route_that_comes_twice_while_tables_are_compared(
    server: RedisServer, follow: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = handing_in.members

    async def twice(*args: Any) -> AsyncIterator[tuple[bytes, bytes]]:
        # As HSCAN does while a table shrinks.
        for _ in range(2):
            async for item in once(*args):
                yield item

    monkeypatch.setattr(handing_in, "members", twice)
    monkeypatch.setattr("hubgate.store.redis.held.RECENT_ROUTES", 3)
    keys = [f"/{number}" for number in range(10)]
    sleeper, (other,) = await fell_back(server, follow, (keys, []))
    other.resume()
    for each in (sleeper, other):
        await each.has("/stays", "/meanwhile", *keys)


async def test_a_route_that_was_confirmed_stays_when_an_older_removal_is_handed_in(
    server: RedisServer, follow: Start
) -> None:
    sleeper, (more,) = await fell_back(server, follow, (["/b"], ["/stays"]))
    again = await sleeper.put("/stays")
    assert again.changed, "once after each start of Redis"
    assert not (await sleeper.put("/stays")).changed
    more.resume()
    for each in (sleeper, more):
        await each.has("/stays", "/meanwhile", "/b")


async def test_what_redis_has_that_is_newer_is_part_of_the_table_that_goes_on(
    server: RedisServer, follow: Start
) -> None:
    one = await follow("a").start()
    await one.put("/base", "/gone", "/changed")
    await one.has("/base", "/gone", "/changed")
    old = snapshot(server)
    for number in range(3):
        # Each a history: it knows of more than another one that begins with the old data.
        restart(server, snapshot(server))
        await one.put(f"/{number}")
    await one.has("/base", "/gone", "/changed", "/0", "/1", "/2")
    await one.pause()
    restart(server, old)
    other = await follow("b").start()
    await other.put("/b")
    await other.delete("/gone")
    await other.put("/changed", target="http://newer")
    await other.has("/base", "/changed", "/b")
    await other.close()
    restart(server, snapshot(server))
    one.resume()
    right = ["/base", "/changed", "/b", "/0", "/1", "/2"]
    await one.has(*right)
    assert one.table["/changed"] == "http://newer"
    assert sorted(server.table()) == sorted(right)


async def test_versions_go_on_when_a_clock_is_put_back(server: RedisServer, follow: Start) -> None:
    one = await follow("a").start()
    await one.put("/old")
    data = snapshot(server)
    with client.Redis(port=server.port) as redis:
        redis.hset("hubgate:meta", "version", AHEAD)
    await one.put("/a")
    await one.put("/b")
    assert [versions(server)[key] for key in ("/a", "/b")] == [AHEAD + 1, AHEAD + 2]
    await one.has("/old", "/a", "/b")
    # By its own clock and data it would begin long before.
    restart(server, data)
    await one.put("/c")
    assert versions(server)["/c"] > AHEAD + 2
    restart(server, snapshot(server))
    await one.put("/d")
    assert versions(server)["/d"] > versions(server)["/c"]


async def test_versions_that_redis_alone_knows_count_after_a_start(
    server: RedisServer, follow: Start
) -> None:
    one = await follow("a").start()
    await one.put("/old")
    await one.close()
    with client.Redis(port=server.port) as redis:
        redis.hset("hubgate:meta", "version", AHEAD)  # of something removed and forgotten
    restart(server, snapshot(server))
    fresh = await follow("fresh").start()
    await fresh.put("/new")
    assert versions(server)["/new"] > AHEAD


async def test_what_is_handed_in_was_active_when_it_was_written(
    server: RedisServer, follow: Start
) -> None:
    sleeper, (more,) = await fell_back(server, follow, ([], []))
    await sleeper.pause()
    data = snapshot(server)
    more.resume()
    await more.has("/stays", "/meanwhile")
    await more.pause()
    active = time.time()
    await more.put("/a")  # and it does not read that
    await asyncio.sleep(1.1)
    restart(server, data)
    sleeper.resume()
    more.resume()
    await more.has("/stays", "/meanwhile", "/a")
    with client.Redis(port=server.port) as redis:
        assert abs(float(redis.hget("hubgate:activity", "/a")) - active) < 0.5


async def test_what_comes_after_something_handed_in_is_later(
    server: RedisServer, follow: Start
) -> None:
    sleeper = await follow("sleeper").start()
    await sleeper.put("/stays")
    other = await follow("other").start()
    await sleeper.pause()
    data = snapshot(server)
    with client.Redis(port=server.port) as redis:
        redis.hset("hubgate:meta", "version", AHEAD)
    written = await other.put("/late")
    await until(lambda: other.store.point[1] >= written.revision)
    for task in other.store.members._tasks:
        task.cancel()
    await other.pause()
    restart(server, data)
    sleeper.resume()
    await sleeper.put("/meanwhile")
    assert versions(server)["/meanwhile"] < AHEAD
    other.resume()
    await other.has("/stays", "/meanwhile", "/late")
    await sleeper.put("/after")
    assert versions(server)["/late"] == AHEAD + 1
    assert versions(server)["/after"] > AHEAD + 1


async def test_the_rest_is_handed_in_after_a_part_whose_answer_was_lost(
    server: RedisServer, follow: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handing_in, "_PART", 5)
    monkeypatch.setattr("hubgate.store.redis.held.RECENT_ROUTES", 3)
    keys = [f"/{number}" for number in range(12)]
    sleeper, (other,) = await fell_back(server, follow, (keys, []))
    write, lost = HandingIn._write, 0

    async def losing(self: HandingIn, *args: Any) -> Any:
        nonlocal lost
        answer = await write(self, *args)
        if not lost:
            lost += 1
            raise StoreUnavailableError("the answer is lost")
        return answer

    monkeypatch.setattr(HandingIn, "_write", losing)
    other.resume()
    for each in (sleeper, other):
        await each.has("/stays", "/meanwhile", *keys)
    assert lost == 1
