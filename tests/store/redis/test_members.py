"""What replicas know of each other: from Redis, and from memory while it is away."""

import asyncio
import threading

import pytest

from hubgate.errors import StoreUnavailableError
from tests.control.waiting import until
from tests.redis_server import RedisServer
from tests.store.redis.conftest import Start
from tests.store.redis.following import PATIENCE, Following, route

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
        await first.store.put(route("/x"))
    # What it has read does not count as what its successor serves.
    await second.pause()
    await third.put("/b")
    await first.has("/b")
    written = await third.store.put(route("/c"))
    assert await third.store.served(written) == ("a",)
    second.resume()
    await second.close()
    await until(lambda: not first.store.members.replaced)
    assert first.store.members.live
    await first.put("/d")
    await third.has("/b", "/c", "/d")


async def test_a_silent_name_server_costs_no_lease(follow: Start) -> None:
    ended = threading.Event()
    one = follow("a", lease=1.0)

    def describe(secret: str, host: str) -> dict[str, object]:
        ended.wait(PATIENCE)
        return {"said": True}

    one.store.members.describe(describe)
    await one.start()
    for _ in range(20):
        await asyncio.sleep(0.1)
        assert one.store.members.live
    ended.set()
    await until(lambda: one.store.members.replicas()[0].about.get("said"))
