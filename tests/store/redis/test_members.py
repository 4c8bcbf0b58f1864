"""What replicas know of each other: from Redis, and from memory while it is away."""

import pytest

from tests.control.waiting import until
from tests.redis_server import RedisServer
from tests.store.redis.conftest import Start
from tests.store.redis.following import Following

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
