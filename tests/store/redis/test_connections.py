"""Connections that Redis has closed, and a Redis that is started again: what is said of them."""

import asyncio
import logging
import signal
from contextlib import suppress

import pytest
import redis as client

from hubgate.errors import StoreUnavailableError
from hubgate.model import RedisLogin
from hubgate.redis_address import parse_redis
from hubgate.store.redis.client import RedisClient
from hubgate.tasks import spawn
from tests.control.waiting import until
from tests.redis_server import RedisServer
from tests.store.redis.conftest import Start
from tests.store.redis.following import PATIENCE, restart, route, snapshot
from tests.store.redis.whole_services import Replica

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


NOTHING = b"\0never sent\0"


class Gate:
    """A port in front of Redis that keeps what has `held` in it, and then ends that connection.

    With `rubbish`, its client is sent that first.
    """

    def __init__(self, server: RedisServer, rubbish: bytes = b"") -> None:
        self.held = NOTHING
        self._rubbish = rubbish
        self._server = server
        self._kept: list[tuple[bytes, asyncio.StreamWriter]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._writers: list[asyncio.StreamWriter] = []

    async def open(self) -> str:
        self.listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return f"redis://127.0.0.1:{self.listener.sockets[0].getsockname()[1]}/0"

    async def let_go(self) -> None:
        """Deliver what was kept."""
        for data, there in self._kept:
            there.write(data)
            await there.drain()

    async def close(self) -> None:
        self.listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        for each in self._writers:
            each.close()
            with suppress(OSError):
                await each.wait_closed()

    async def _accept(self, here: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        answers, there = await asyncio.open_connection("127.0.0.1", self._server.port)
        self._writers += [back, there]
        self._tasks += [
            spawn(self._pass(here, there, back), "to Redis"),
            spawn(self._pass(answers, back, None), "from Redis"),
        ]

    async def _pass(
        self,
        source: asyncio.StreamReader,
        to: asyncio.StreamWriter,
        client: asyncio.StreamWriter | None,
    ) -> None:
        with suppress(OSError):
            while data := await source.read(1 << 16):
                if client is not None and self.held in data:
                    self._kept.append((data, to))
                    if self._rubbish:
                        client.write(self._rubbish)
                        await client.drain()
                    else:
                        client.transport.abort()
                    return
                to.write(data)
                await to.drain()
            to.close()


@pytest.mark.parametrize("rubbish", [b"", b"HTTP/1.1 502 Bad Gateway\r\n\r\n"])
async def test_a_change_whose_connection_breaks_is_answered_once_it_cannot_arrive_any_more(
    server: RedisServer, rubbish: bytes
) -> None:
    gate, other = Gate(server, rubbish), await Replica(server.url, "other").start()
    one = await Replica(await gate.open(), "a").start()
    await one.service.add(route("/a"))
    gate.held = b"/late"
    adding = spawn(one.service.add(route("/late")), "of a test")
    await until(lambda: one.store.write_obstacle is not None)
    gate.held = NOTHING
    # It is away at once, and takes others' changes meanwhile.
    await other.service.add(route("/b"))
    await until(lambda: one.keys == ["/a", "/b"])
    assert not adding.done()
    with pytest.raises(StoreUnavailableError):
        await adding
    await other.service.add(route("/late"))
    await other.service.remove("/late")
    await gate.let_go()
    await other.service.add(route("/c"))
    for each in (one, other):
        await until(lambda each=each: each.keys == ["/a", "/b", "/c"], PATIENCE)
    assert sorted(server.table()) == ["/a", "/b", "/c"]
    for each in (one, other):
        await each.service.close()
    await gate.close()


async def test_a_break_with_a_change_under_way_is_said_once(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    gate = Gate(server)
    one = await Replica(await gate.open(), "a").start()
    gate.held = b"/late"
    with pytest.raises(StoreUnavailableError, match="is away"):
        await one.service.add(route("/late"))
    gate.held = NOTHING
    await until(lambda: one.store.write_obstacle is None)
    await asyncio.sleep(0.3)
    assert caplog.text.count("is away") == caplog.text.count("is back after") == 1
    await one.service.close()
    await gate.close()
