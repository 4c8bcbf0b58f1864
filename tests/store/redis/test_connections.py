"""Connections that Redis has closed, and a Redis that is started again: what is said of them."""

import asyncio
import logging
import signal

import pytest
import redis as client

from hubgate.errors import StoreUnavailableError
from hubgate.model import RedisLogin
from hubgate.redis_address import parse_redis
from hubgate.store.redis.client import RedisClient
from tests.control.waiting import until
from tests.redis_server import RedisServer
from tests.store.redis.conftest import Start
from tests.store.redis.following import restart, route, snapshot

pytestmark = pytest.mark.processes


async def test_one_that_redis_has_closed_is_not_used_again(server: RedisServer) -> None:
    ours = RedisClient(parse_redis(server.url), RedisLogin())

    async def ask() -> None:
        async with ours.call() as redis:
            await redis.ping()

    await asyncio.gather(*(ask() for _ in range(20)))
    with client.Redis(port=server.port) as redis:
        assert len(redis.client_list()) > 10
        redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    await asyncio.sleep(0.1)
    await asyncio.gather(*(ask() for _ in range(20)))
    await ours.close()


async def test_a_start_of_redis_is_said_once(
    server: RedisServer, follow: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    one = await follow("a", lease=30.0).start()
    await asyncio.gather(*(one.put(f"/{number}") for number in range(20)))
    restart(server, snapshot(server))
    await until(lambda: "is back after" in caplog.text)
    await asyncio.gather(*(one.put(f"/more{number}") for number in range(20)))
    await one.has(*(f"/{number}" for number in range(20)), *(f"/more{n}" for n in range(20)))
    assert caplog.text.count("is away") == caplog.text.count("is back after") == 1


async def test_a_change_that_nobody_waits_for_any_more_is_not_made(
    server: RedisServer, follow: Start
) -> None:
    one = await follow("a", lease=30.0).start()
    await one.put("/b")
    server.signal(signal.SIGSTOP)  # what is sent now arrives, and waits there
    with pytest.raises(StoreUnavailableError, match="no answer within 1 s"):
        await one.store.apply([route("/a")], ["/b"])
    server.signal(signal.SIGCONT)
    await one.put("/c")
    await one.has("/b", "/c")
    assert sorted(server.table()) == ["/b", "/c"]


async def test_a_clock_of_redis_that_was_set_is_known_before_the_next_change(
    server: RedisServer, follow: Start
) -> None:
    one = await follow("a", lease=30.0).start()
    known = one.store.members._known
    for ahead in (-3600.0, 3600.0):
        known._now -= ahead * 1000
        assert (await one.put(f"/{ahead:.0f}")).changed
    known._now -= 3600 * 1000
    renewed = one.store.members.renewed_ago
    await one.store.apply([route("/a")], [])
    assert one.store.members.renewed_ago < renewed
