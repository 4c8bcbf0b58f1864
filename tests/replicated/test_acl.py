"""The ACL of docs/high-availability.md: hubgate works with it, and needs each right in it."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis

from hubgate.errors import StoreUnavailableError
from hubgate.model import RedisLogin
from hubgate.redis_address import parse_redis
from hubgate.store.redis import store
from hubgate.store.redis.trial import try_redis
from tests.control.waiting import until
from tests.redis_server import RedisServer, redis_server
from tests.replicated.page import PAGE, acl_line
from tests.store.redis.following import Following

pytestmark = pytest.mark.processes

PASSWORD = "HUBGATE-PASSWORD"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path / "redis") as running:
        _, name, *rules = acl_line().split()
        admin(running).acl_setuser(name, reset=True)
        assert admin(running).execute_command("ACL", "SETUSER", name, *rules)
        yield running


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a store give up at once when it cannot be opened."""
    monkeypatch.setattr(store, "START_LIMIT", 0.0)


def admin(server: RedisServer) -> redis.Redis:
    return redis.Redis(port=server.port, decode_responses=True)


def rights() -> list[str]:
    return re.findall(r"(?<= )\+(\S+)", acl_line())


@asynccontextmanager
async def replica(server: RedisServer, name: str, prefix: str = "hub") -> AsyncIterator[Following]:
    url = f"redis://hubgate:{PASSWORD}@127.0.0.1:{server.port}/0?prefix={prefix}"
    one = Following(url, name)
    try:
        yield one
    finally:
        await one.close()


async def all_that_hubgate_does(server: RedisServer) -> None:
    """Try it, change routes, one and many, and have Redis come back without them."""
    url = f"redis://hubgate:{PASSWORD}@127.0.0.1:{server.port}/0?prefix=hub"
    assert await try_redis(parse_redis(url), RedisLogin()) == []
    async with replica(server, "a") as one, replica(server, "b") as other:
        await one.start()
        await other.start()
        many = [f"/{number}" for number in range(600)]
        await one.put("/a")
        await other.put("/a")
        await one.put(*many)
        await other.has("/a", *many)
        await other.delete(*many)
        one.store.note_activity({"/a": 1.0})
        await one.store.members.renew()
        assert [each.name for each in one.store.members.replicas()] == ["a", "b"]
        for each in (one, other):
            await each.has("/a")
        admin(server).flushall()
        await one.put("/b")
        await other.has("/a", "/b")


async def test_hubgate_needs_each_of_these_rights_and_no_other(server: RedisServer) -> None:
    await all_that_hubgate_does(server)
    refused = admin(server).acl_log()
    assert not [each["object"] for each in refused if not each["object"].startswith("client")]
    used = {
        name.removeprefix("cmdstat_"): each
        for name, each in admin(server).info("commandstats").items()
    }
    assert [right for right in rights() if used.get(right, {"calls": 0})["calls"] == 0] == []


@pytest.mark.parametrize("right", ["evalsha", "hset", "time", "info", "client|setname"])
async def test_without_one_a_start_says_what_to_check(
    server: RedisServer, impatient: None, right: str
) -> None:
    admin(server).execute_command("ACL", "SETUSER", "hubgate", f"-{right}")
    async with replica(server, "a") as one:
        with pytest.raises(StoreUnavailableError, match="check its password and ACL"):
            await one.start()
    assert right in {each["object"] for each in admin(server).acl_log()}


async def test_another_prefix_is_refused(server: RedisServer, impatient: None) -> None:
    async with replica(server, "a", prefix="other") as one:
        with pytest.raises(StoreUnavailableError, match="check its password and ACL"):
            await one.start()


async def test_no_other_key_and_no_other_command(server: RedisServer) -> None:
    await until(lambda: admin(server).ping())
    own = redis.Redis(port=server.port, username="hubgate", password=PASSWORD)
    for words in (("GET", "other:meta"), ("FLUSHALL",), ("KEYS", "*"), ("CONFIG", "GET", "*")):
        with pytest.raises(redis.exceptions.NoPermissionError):
            own.execute_command(*words)


def test_kubernetes_has_the_same_line() -> None:
    assert acl_line().replace("HUBGATE-PASSWORD", "$password") in PAGE.read_text()
