"""The table in a real Redis: changes, and what others see of them."""

import asyncio
import time

import pytest
import redis as client

from hubgate.errors import StoreError, StoreUnavailableError, TableChangedError
from hubgate.model import RedisLogin, ReplicaOptions, Route, RouteOptions
from hubgate.redis_address import parse_redis
from hubgate.store.base import Expected
from hubgate.store.redis.store import RedisStore
from hubgate.tasks import spawn
from tests.control.waiting import until
from tests.redis_server import RedisServer
from tests.store.redis.conftest import Start
from tests.store.redis.following import PATIENCE, route

pytestmark = pytest.mark.processes


async def test_what_is_put_is_loaded_by_the_next(follow: Start) -> None:
    one = await follow("a").start()
    full = Route(
        '/é \n"x"',
        "http://b",
        {"target": "http://b", "user": "é"},
        RouteOptions(True, (("A", "b"),)),
    )
    await one.store.apply([full], [])
    assert await follow("b").store.open() is None
    other = await follow("c").start()
    (loaded,) = await other.store.load()
    assert (loaded.key, loaded.target, dict(loaded.data), loaded.options) == (
        full.key,
        full.target,
        full.data,
        full.options,
    )


async def test_each_change_arrives_in_order(follow: Start) -> None:
    one, other = await follow("a").start(), await follow("b").start()
    for number in range(20):
        written = await one.put(f"/{number}")
        assert (written.revision, written.changed) == (number + 1, True)
    await one.delete("/3")
    await other.has(*(f"/{number}" for number in range(20) if number != 3))
    assert [change.revision for change in other.changes] == [*range(1, 22)]


async def test_an_identical_route_is_not_written_again(follow: Start) -> None:
    one, other = await follow("a").start(), await follow("b").start()
    first = await one.put("/a")
    await one.put("/b")
    again = await other.put("/a")
    assert (again.revision, again.changed) == (first.revision, False)
    assert (await other.put("/a", target="http://c")).changed
    await until(lambda: one.table == {"/a": "http://c", "/b": "http://127.0.0.1:1"})
    assert len(one.changes) == 3


async def test_a_change_of_many_is_one_revision(follow: Start) -> None:
    one, other = await follow("a").start(), await follow("b").start()
    await one.put("/old", "/stays")
    written = await one.store.apply([route("/x"), route("/y")], ["/old", "/missing"])
    await other.has("/stays", "/x", "/y")
    assert written.revision == 2
    assert other.changes[-1].delete == ("/old",)


async def test_a_large_change_is_loaded_whole(follow: Start) -> None:
    one, other = await follow("a").start(), await follow("b").start()
    keys = [f"/{number}" for number in range(2000)]
    await one.put(*keys)
    await other.has(*keys)
    assert [change.whole for change in other.changes] == [True]


async def test_a_change_at_a_revision_that_is_over_changes_nothing(follow: Start) -> None:
    one = await follow("a").start()
    await one.put("/a")
    with pytest.raises(TableChangedError, match="is at revision 1 now"):
        await one.store.apply([route("/b")], [], expected=Expected(0))
    await one.store.apply([route("/b")], [], expected=Expected(1))
    await one.has("/a", "/b")


async def test_a_change_of_routes_that_were_changed_since_changes_nothing(follow: Start) -> None:
    one = await follow("a").start()
    await one.put("/a", "/b")
    await one.put("/c")
    await one.store.apply([route("/a", "http://x")], [], expected=Expected(1, whole=False))
    for put, delete in (([route("/a"), route("/d")], []), ([route("/d")], ["/c"])):
        with pytest.raises(TableChangedError):
            await one.store.apply(put, delete, expected=Expected(1, whole=False))
    await one.store.apply([route("/d")], ["/b"], expected=Expected(1, whole=False))
    await one.has("/a", "/c", "/d")


async def test_leases_that_lapsed_while_redis_took_no_writes_go_on(
    follow: Start, server: RedisServer
) -> None:
    one, other = [await follow(name, lease=2.0).start() for name in "ab"]
    for _ in range(2):
        assert server.ask("CLIENT PAUSE 2800 WRITE").startswith(b"+OK")
        await until(lambda: not one.store.members.live, PATIENCE)
        written = await one.put(f"/{time.monotonic()}")
        assert written.holders == {"a", "b"}
        assert await one.store.served(written) == ()
    await other.has(*one.table)


async def test_only_one_change_waits_for_a_redis_that_takes_no_writes(
    follow: Start, server: RedisServer
) -> None:
    one = await follow("a").start()
    assert server.ask("CLIENT PAUSE 4000 WRITE").startswith(b"+OK")
    begun = time.monotonic()
    for _ in range(10):
        with pytest.raises(StoreUnavailableError):
            await one.store.apply([route("/a")], [])
    assert time.monotonic() - begun < 3.5  # one second, not ten
    assert one.store.write_obstacle == "away"
    await one.put("/b")
    await until(lambda: one.store.write_obstacle is None, PATIENCE)


# --- replicas ---


async def test_a_change_is_served_by_all_when_it_is_answered(follow: Start) -> None:
    replicas = [await follow(name).start() for name in "abc"]
    for number in range(50):
        written = await replicas[number % 3].put(f"/{number}")
        assert await replicas[number % 3].store.served(written) == ()
        assert all(f"/{number}" in each.table for each in replicas)


async def test_one_that_does_not_follow_is_named_until_its_lease_ends(follow: Start) -> None:
    one, slow = await follow("a", wait=0.2).start(), await follow("slow").start()
    await slow.pause()
    assert await one.store.served(await one.put("/a")) == ("slow",)
    await slow.store.close(leave=False)
    await until(lambda: True)
    deadline = time.monotonic() + 20
    while await one.store.served(await one.put(f"/{time.monotonic()}")):
        assert time.monotonic() < deadline
    assert time.monotonic() < deadline


async def test_whoever_posts_the_same_at_once_waits_as_well(follow: Start) -> None:
    one, slow = await follow("a", wait=0.2).start(), await follow("slow", lease=30.0).start()
    await slow.pause()
    first, again = await one.put("/a"), await one.put("/a")
    assert first.revision == again.revision
    served = [one.store.served(written) for written in (first, again)]
    assert await asyncio.gather(*served) == [("slow",), ("slow",)]


async def test_changes_of_our_own_are_acknowledged_together_with_the_next_of_others(
    follow: Start, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hubgate.store.redis.membership.LAZY", 3600.0)
    one, other = await follow("a").start(), await follow("b", wait=5.0).start()
    assert await other.store.served(await other.put("/0")) == ()
    for key in ("/1", "/2", "/3"):
        await one.put(key)
    assert await other.store.served(await other.put("/4")) == ()
    told = server.ask("XRANGE hubgate:acknowledged - +").split(b"\r\n")
    revisions = [int(told[at + 8]) for at, line in enumerate(told) if line == b"a"]
    assert {1, 5} <= set(revisions)
    assert not {2, 3} & set(revisions)


async def test_a_change_that_another_has_made_already_is_soon_acknowledged_by_that_one(
    follow: Start,
) -> None:
    one, other = await follow("a").start(), await follow("b", wait=PATIENCE).start()
    for number in range(5):
        await one.put(f"/{number}")
        again = await other.put(f"/{number}")
        assert (again.changed, again.holders) == (False, {"a", "b"})
        assert await other.store.served(again) == ()


async def test_activity_of_others_is_no_acknowledgement(
    follow: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hubgate.store.redis.activity.INTERVAL", 0.05)
    one, other = await follow("a", wait=5.0).start(), await follow("b").start()
    await one.put("/a")
    one.store.note_activity({"/a": time.time()})
    await until(lambda: any("/a" in change.active for change in other.changes))
    assert await one.store.served(await one.put("/a")) == ()


async def test_what_was_loaded_whole_is_acknowledged(follow: Start, server: RedisServer) -> None:
    one, other = await follow("a", wait=5.0).start(), await follow("b").start()
    await one.put("/a")
    await other.has("/a")
    server.ask("FLUSHALL")
    await until(lambda: one.store.write_obstacle and other.store.write_obstacle)
    await until(lambda: not one.store.write_obstacle and not other.store.write_obstacle)
    # No change came since it was loaded.
    again = await one.delete("/nothing")
    assert not again.changed
    assert again.holders == {"a", "b"}
    assert await one.store.served(again) == ()


async def test_a_renewal_that_is_overtaken_is_not_another_table(follow: Start) -> None:
    replicas = [await follow(name, lease=0.03).start() for name in "abc"]
    for number in range(600):
        await replicas[number % 3].store.apply([route(f"/{number}")], [])


async def test_one_that_leaves_is_not_waited_for(follow: Start) -> None:
    one, other = await follow("a").start(), await follow("b").start()
    await other.close()
    assert await one.store.served(await one.put("/a")) == ()
    await one.store.members.renew()
    assert [each.name for each in one.store.members.replicas()] == ["a"]


async def test_the_same_name_again_takes_over(
    follow: Start, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = await follow("a", lease=0.6).start(), await follow("a").start()
    await until(lambda: "another hubgate has the name 'a' now" in caplog.text)
    await first.close()
    await second.store.members.renew()
    (known,) = second.store.members.replicas()
    assert known.live
    assert not first.store.members.live


async def test_while_it_is_away_changes_are_refused_at_once(
    server: RedisServer, follow: Start, caplog: pytest.LogCaptureFixture
) -> None:
    one = await follow("a").start()
    server.kill()
    await until(lambda: one.store.write_obstacle)
    begun = time.monotonic()
    with pytest.raises(StoreUnavailableError, match="is away: "):
        await one.store.apply([route("/a")], [])
    assert time.monotonic() < begun + 0.5
    assert caplog.text.count("routes cannot be changed until it is back") == 1
    server.start()
    await one.put("/a")
    await one.has("/a")


async def test_a_stopped_redis_costs_a_second(server: RedisServer, follow: Start) -> None:
    import signal

    one = await follow("a").start()
    server.signal(signal.SIGSTOP)
    try:
        with pytest.raises(StoreUnavailableError, match="no answer within 1 s"):
            await asyncio.wait_for(one.store.apply([route("/a")], []), 5)
    finally:
        server.signal(signal.SIGCONT)


async def test_another_programs_keys_are_left_alone(server: RedisServer, follow: Start) -> None:
    server.ask("SET hubgate:meta mine")
    with pytest.raises(StoreError, match="are another program's; give another"):
        await follow("a").store.open()
    assert b"mine" in server.ask("GET hubgate:meta")


async def test_a_newer_format_is_one_line(server: RedisServer, follow: Start) -> None:
    server.ask("HSET hubgate:meta format 3")
    with pytest.raises(StoreError, match="was written by a newer hubgate"):
        await follow("a").store.open()


async def test_a_password_is_needed_and_never_shown(server: RedisServer) -> None:
    server.ask("CONFIG SET requirepass s3cret")
    for url, login in (
        (f"redis://:s3cret@127.0.0.1:{server.port}", RedisLogin()),
        (server.url, RedisLogin(password="s3cret")),
    ):
        store = RedisStore(parse_redis(url), login, ReplicaOptions("a", settle=0.1))
        assert "s3cret" not in repr(store)
        await store.open()
        await store.close()


async def test_a_route_that_redis_has_otherwise_is_found_and_taken(
    server: RedisServer,
    follow: Start,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("hubgate.store.redis.whole_check.INTERVAL", 0.2)
    monkeypatch.setattr("hubgate.store.redis.whole_check.BETWEEN_LOOKS", 0.1)
    one = await follow("a").start()
    await one.put("/a", "/b")
    await one.has("/a", "/b")
    server.ask("HDEL hubgate:table /a")
    server.ask("HINCRBY hubgate:meta count -1")
    await one.has("/b")
    assert "are not what its log says" in caplog.text


async def test_a_gap_in_the_log_is_noticed(follow: Start, server: RedisServer) -> None:
    one, other = await follow("a").start(), await follow("b").start()
    await one.put("/a")
    await other.has("/a")
    await other.pause()
    for key in ("/b", "/c"):
        await one.put(key)
    assert server.ask("XDEL hubgate:log 2-0") == b":1\r\n"
    other.resume()
    await other.has("/a", "/b", "/c")


async def test_a_check_of_the_whole_table_does_not_mind_changes(
    follow: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hubgate.store.redis.whole_check.INTERVAL", 0.0)
    monkeypatch.setattr("hubgate.store.redis.whole_check.BETWEEN_LOOKS", 0.05)
    one, other = await follow("a").start(), await follow("b").start()
    ends = time.monotonic() + 2
    number = 0
    while time.monotonic() < ends:
        number += 1
        await one.put(f"/{number % 50}")
        await one.delete(f"/{(number + 25) % 50}")
    await until(lambda: other.table == one.table)
    assert not any(change.whole for each in (one, other) for change in each.changes)


async def test_one_value_that_cannot_be_read_does_not_stop_the_others(
    follow: Start,
    server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("hubgate.store.redis.whole_check.INTERVAL", 0.1)
    monkeypatch.setattr("hubgate.store.redis.whole_check.BETWEEN_LOOKS", 0.1)
    one = await follow("a").start()
    await one.put("/a", "/b")
    await one.has("/a", "/b")
    with client.Redis(port=server.port) as redis:
        redis.hset("hubgate:table", "/b", "garbage")
    await one.has("/a")
    await one.put("/c")
    await one.has("/a", "/c")
    await one.put("/b")
    await one.has("/a", "/b", "/c")
    assert caplog.text.count("b'/b' in Redis cannot be read") == 1


async def test_a_lease_is_given_up_by_one_that_is_cancelled_meanwhile(
    follow: Start, server: RedisServer
) -> None:
    one = await follow("a", lease=30.0).start()
    await one.put("/a")
    await one.pause()
    one.store.note_activity({"/a": time.time()})

    async def ends() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await one.store.close()

    ending = spawn(ends(), "of a test")
    await asyncio.sleep(0)
    ending.cancel()
    await asyncio.wait({ending})
    with client.Redis(port=server.port) as redis:
        assert redis.zrange("hubgate:leases", 0, -1) == []


async def test_a_table_of_before_the_first_release_is_one_line(
    server: RedisServer, follow: Start
) -> None:
    server.ask("HSET hubgate:meta format 1")
    with pytest.raises(StoreError, match="was written by an unreleased hubgate"):
        await follow("a").start()


async def test_a_lease_is_not_renewed_once_it_is_closed(server: RedisServer, follow: Start) -> None:
    one = await follow("a").start()
    await one.put("/a")
    await one.pause()
    one.store.note_activity({"/a": time.time()})
    server.kill()
    await one.store.close(leave=False)
    assert all(task.done() for task in one.store.members._tasks)
