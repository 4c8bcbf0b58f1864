"""What replicas know of each other: from Redis, and from memory while it is away."""

import asyncio
import threading
import time

import pytest
import redis as client

from hubgate.errors import StoreUnavailableError
from tests.control.waiting import until
from tests.redis_server import RedisServer
from tests.store.redis.conftest import Start
from tests.store.redis.following import PATIENCE, Following, restart, route, snapshot

pytestmark = pytest.mark.processes


async def described(one: Following, **about: object) -> Following:
    """Start a replica that says this of itself, and how it can be reached."""
    one.store.members.describe(lambda secret, host: {**about, "secret": secret, "host": host})
    return await one.start()


async def test_each_knows_the_others_and_what_they_serve(follow: Start) -> None:
    one = await described(follow("a"), release="1")
    other = await described(follow("b"), release="2")
    await one.store.served(await one.put("/a"))
    members = other.store.members
    await members.renew()
    # Who waits for nobody hears of what others serve a second later.
    await until(lambda: members.replicas()[0].serving == one.store.point)
    first, second = members.replicas()
    assert (first.name, first.live, first.about["release"]) == ("a", True, "1")
    assert (second.name, second.live, second.about["release"]) == ("b", True, "2")
    assert second.instance == members.instance
    assert first.serving == second.serving == one.store.point
    assert first.about["host"] == "127.0.0.1"
    # All have the first one's secret, and were described with it from the beginning.
    assert first.about["secret"] == second.about["secret"] == members.secret
    assert one.store.members.secret == members.secret
    assert abs(first.seen - members.known_at) < 60


async def test_they_are_remembered_while_it_is_away(server: RedisServer, follow: Start) -> None:
    one, other = await described(follow("a"), at="x"), await described(follow("b"), at="y")
    members = one.store.members
    await members.renew()
    assert members.live
    assert members.failing_for == 0
    server.kill()
    await until(lambda: not members.live)
    assert members.failing_for > 0
    assert members.renewed_ago > members.lease * 0.9
    await until(lambda: not any(each.live for each in members.replicas()))
    assert [each.about["at"] for each in members.replicas()] == ["x", "y"]
    before = members.secret
    # It has lost everything: they give its secret back, so they still know each other.
    server.start()
    await until(lambda: members.live and other.store.members.live)
    assert members.failing_for == 0
    assert members.secret == other.store.members.secret == before
    late = await follow("c").start()
    assert late.store.members.secret == before


async def test_the_renewals_of_one_that_is_replaced_fail(follow: Start) -> None:
    first = await follow("a", lease=0.6).start()
    await follow("a").start()
    await until(lambda: first.store.members.failing_for > 0)
    assert not first.store.members.live
    await first.store.members.renew()
    assert not first.store.members.live


async def test_one_that_is_replaced_takes_no_changes_until_it_has_its_name_again(
    follow: Start,
) -> None:
    first, third = await follow("a", lease=0.6).start(), await follow("c", lease=0.6).start()
    second = await follow("a", lease=0.6).start()
    await until(lambda: first.store.members.replaced)
    assert first.store.write_obstacle == "name"
    with pytest.raises(StoreUnavailableError, match="another hubgate has the name 'a'"):
        await first.store.apply([route("/x")], [])
    # What it has read does not count as what its successor serves.
    await second.pause()
    await third.put("/b")
    await first.has("/b")
    written = await third.store.apply([route("/c")], [])
    assert await third.store.served(written) == ("a",)
    second.resume()
    await second.close()
    await until(lambda: not first.store.members.replaced)
    assert first.store.members.live
    await first.put("/d")
    await third.has("/b", "/c", "/d")


async def test_a_silent_name_server_costs_no_lease(follow: Start) -> None:
    ended = threading.Event()
    one = follow("a", lease=2.0)

    def describe(secret: str, host: str) -> dict[str, object]:
        ended.wait(PATIENCE)
        return {"said": True}

    one.store.members.describe(describe)
    await one.start()
    for _ in range(30):
        await asyncio.sleep(0.1)
        assert one.store.members.live
    ended.set()
    await until(lambda: one.store.members.replicas()[0].about.get("said"))


async def test_renewals_at_once_are_one_after_the_other(follow: Start) -> None:
    one = await follow("a", lease=0.6).start()
    members = one.store.members
    for _ in range(30):
        await asyncio.gather(*(members.renew() for _ in range(20)))
        await asyncio.sleep(0.01)
    # The lease's own task goes on.
    ago = members.renewed_ago
    await until(lambda: members.renewed_ago < ago)
    assert members.live


async def test_even_a_fault_does_not_end_the_lease(
    follow: Start, caplog: pytest.LogCaptureFixture
) -> None:
    one = await follow("a", lease=0.6).start()
    members = one.store.members
    fails = True

    def describe(secret: str, host: str) -> dict[str, object]:
        if fails:
            raise ValueError("a fault of ours")
        return {}

    members.describe(describe)
    await until(lambda: "task lease failed" in caplog.text and not members.live)
    fails = False
    await until(lambda: members.live)


async def test_one_that_died_does_not_live_again_when_another_wakes(
    server: RedisServer, follow: Start
) -> None:
    asleep, dead, awake = [await follow(name, lease=1.5).start() for name in "abc"]
    for task in asleep.store.members._tasks:
        task.cancel()
    await asyncio.sleep(1.5)
    for task in dead.store.members._tasks:
        task.cancel()
    await dead.pause()
    await until(lambda: holders(server) == ["c"])
    await asleep.store.members.renew()
    assert holders(server) == ["a", "c"]
    assert (await awake.put("/a")).holders == {"a", "c"}


async def test_a_lease_by_a_clock_that_was_ahead_ends(server: RedisServer, follow: Start) -> None:
    one, dead = await follow("a", lease=1.0).start(), await follow("b", lease=1.0).start()
    for task in dead.store.members._tasks:
        task.cancel()
    await dead.pause()
    with client.Redis(port=server.port) as redis:
        redis.zadd("hubgate:leases", {"b": (time.time() + 3600) * 1000})
    await until(lambda: holders(server) == ["a"])
    assert (await one.put("/a")).holders == {"a"}


def holders(server: RedisServer) -> list[str]:
    """Return who holds a lease, by Redis's clock."""
    with client.Redis(port=server.port) as redis:
        seconds, micro = redis.time()
        now = (seconds + micro / 1e6) * 1000
        leases = redis.zrange("hubgate:leases", 0, -1, withscores=True)
    return sorted(name.decode() for name, ends in leases if ends > now)


async def test_one_that_is_being_upgraded_keeps_its_lease_for_longer(
    server: RedisServer, follow: Start
) -> None:
    one, other = await follow("a", lease=1.0).start(), await follow("b", lease=1.0).start()
    await one.pause()
    await one.store.close(leave=False)
    await asyncio.sleep(1.5)
    await other.store.members.renew()
    assert holders(server) == ["a", "b"]
    assert (await other.put("/a")).holders == {"a", "b"}
    # The next release has it as long as any.
    await follow("a", lease=1.0).start()
    with client.Redis(port=server.port) as redis:
        assert redis.zscore("hubgate:leases", "a") < (time.time() + 2) * 1000


async def test_a_redis_that_takes_no_writes_is_said_by_those_that_make_none(
    server: RedisServer, follow: Start, caplog: pytest.LogCaptureFixture
) -> None:
    one = await follow("a", lease=0.6).start()
    await one.put("/a")
    await one.has("/a")
    server.ask("CONFIG SET maxmemory 1")
    said = "no memory left; raise its maxmemory; our lease cannot be renewed"
    await until(lambda: said in caplog.text and not one.store.members.live)
    server.ask("CONFIG SET maxmemory 0")
    await until(lambda: one.store.members.live)
    assert caplog.text.count(said) == 1


async def test_an_earlier_release_of_ours_in_older_data_is_no_rival(
    server: RedisServer, follow: Start
) -> None:
    before = await follow("a", lease=60.0).start()
    await before.put("/a")
    data = snapshot(server)
    await before.pause()
    await before.store.close(leave=False)
    after = await follow("a", lease=60.0).start()
    restart(server, data)
    await after.put("/b")
    assert after.store.members.live


async def test_an_older_acknowledgement_that_arrives_later_is_not_believed(
    server: RedisServer, follow: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hubgate.store.redis.membership.UNWANTED", 0.05)
    one, _ = await follow("a").start(), await follow("b").start()
    written = await one.put("/a")
    assert await one.store.served(written) == ()
    with client.Redis(port=server.port) as redis:
        redis.xadd("hubgate:acknowledged", {"n": "b", "h": one.store.point[0], "r": 0})
    await asyncio.sleep(0.5)
    assert await one.store.served(written) == ()
