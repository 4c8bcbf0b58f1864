"""Hubgates behind a HAProxy that asks whether they are ready: Redis is away for all, or one."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hubgate.tasks import spawn
from tests.contract.ports import free_port
from tests.control.serving import ask
from tests.control.waiting import until
from tests.redis_server import RedisServer, redis_server
from tests.system.balancer import HAPROXY, balanced
from tests.system.served import Served, serving
from tests.system.test_balancer import CLIENTS, client
from tests.system.wrk import page_target

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(HAPROXY is None, reason="needs HAProxy (make test installs it)"),
    pytest.mark.timeout(180),
]

LEASE = 2.0
# Of the balancer, half a second apart, and as much for a machine that is busy.
TWO_CHECKS = 2.0
READY = "/_hubgate/ready"


class Link:
    """The way to a Redis, which can be cut."""

    def __init__(self, port: int) -> None:
        self.port = free_port()
        self._to = port
        self._cut = False
        self._open: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> "Link":
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()
        self._server.close()

    def cut(self) -> None:
        """Let nothing through any more."""
        self._cut = True
        for writer in self._open:
            writer.close()

    def mend(self) -> None:
        """Let everything through again."""
        self._cut = False

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            if not self._cut:
                far_reader, far = await asyncio.open_connection("127.0.0.1", self._to)
                self._open |= {writer, far}
                await asyncio.gather(_copy(reader, far), _copy(far_reader, writer))
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@dataclass
class Balanced:
    """Three hubgates, the first by a link of its own, with what clients of the balancer get."""

    redis: RedisServer
    link: Link
    hubgates: list[Served]
    answers: Counter[str]

    async def says(self, number: int) -> tuple[int, str]:
        """Return what one answers to the balancer."""
        answer = await ask(self.hubgates[number].api_port, "GET", READY)
        return answer.status, answer.body.decode().strip()

    async def becomes(self, number: int, *wanted: tuple[int, str]) -> float:
        """Wait until one answers so; return the seconds that it took."""
        begun = time.monotonic()
        while await self.says(number) not in wanted:
            assert time.monotonic() < begun + 60
            await asyncio.sleep(0.05)
        return time.monotonic() - begun


@contextlib.asynccontextmanager
async def three(folder: Path) -> AsyncIterator[Balanced]:
    """Run three hubgates behind a balancer, with clients."""
    answers: Counter[str] = Counter()
    ended = asyncio.Event()
    async with contextlib.AsyncExitStack() as stack:
        url = await stack.enter_async_context(page_target())
        redis = await asyncio.to_thread(stack.enter_context, redis_server(folder / "redis"))
        link = await stack.enter_async_context(Link(redis.port))
        hubgates = []
        for number in range(3):
            place = folder / str(number)
            place.mkdir()
            port = redis.port if number else link.port
            (place / "routes.yaml").write_text(
                f"store: redis://127.0.0.1:{port}/0\n"
                f"replicas: {{name: proxy-{number}, lease: {LEASE}}}\n"
            )
            hubgates.append(await asyncio.to_thread(stack.enter_context, serving(place)))
        await asyncio.to_thread(hubgates[0].add, "/", url)
        port = await asyncio.to_thread(stack.enter_context, balanced(folder, hubgates))
        clients = [
            spawn(client(port, number % 2 == 0, answers, ended), "client")
            for number in range(CLIENTS)
        ]
        await until(lambda: answers["200"] > 100)
        yield Balanced(redis, link, hubgates, answers)
        ended.set()
        await asyncio.gather(*clients)


async def test_redis_away_for_three_leases_fails_no_request(tmp_path: Path) -> None:
    words: list[tuple[int, str]] = []
    ended = asyncio.Event()
    async with three(tmp_path) as all_of:

        async def watch() -> None:
            while not ended.is_set():
                words.extend([await all_of.says(number) for number in range(3)])
                await asyncio.sleep(0.05)

        watching = spawn(watch(), "watch")
        all_of.redis.kill()
        await asyncio.sleep(3 * LEASE)
        assert words[-3:] == [(200, "degraded")] * 3
        all_of.redis.start()
        for number in range(3):
            await all_of.becomes(number, (200, "ok"))
        ended.set()
        await watching
    # Nobody has left the balancer, not even for a moment: the others would have had all the load.
    assert {status for status, _ in words} == {200}
    assert set(all_of.answers) == {"200"}


async def test_one_that_is_cut_off_leaves_and_comes_back(tmp_path: Path) -> None:
    async with three(tmp_path) as all_of:
        all_of.link.cut()
        assert await all_of.becomes(0, (503, "lease")) < LEASE + TWO_CHECKS
        assert [await all_of.says(number) for number in (1, 2)] == [(200, "ok")] * 2
        await asyncio.sleep(LEASE)
        assert await all_of.says(0) == (503, "lease")
        # If the others lose theirs as well, it is as good as they are.
        all_of.redis.kill()
        assert await all_of.becomes(0, (200, "degraded")) < 2 * LEASE + TWO_CHECKS
        all_of.redis.start()
        await all_of.becomes(0, (503, "lease"))
        all_of.link.mend()
        await all_of.becomes(0, (200, "ok"))
    assert set(all_of.answers) == {"200"}


async def test_one_that_nobody_can_be_asked_by_stays(tmp_path: Path) -> None:
    async with three(tmp_path) as all_of:
        for other in all_of.hubgates[1:]:
            other.process.suspend()
        all_of.link.cut()
        try:
            await all_of.becomes(0, (200, "degraded"))
            await asyncio.sleep(LEASE)
            assert await all_of.says(0) == (200, "degraded")
        finally:
            for other in all_of.hubgates[1:]:
                other.process.resume()
        await all_of.becomes(0, (503, "lease"))
