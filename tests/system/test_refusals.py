"""Sockets do not leak where targets refuse upgrades or are down."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.polling import eventually
from tests.contract.target import Target, answer, replying
from tests.system.served import Served, serving

TIMES = 10_000
UPGRADE = (
    b"GET %b HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path, "--log-level", "error") as served:
        yield served


async def upgrade_many(port: int, path: bytes) -> set[bytes]:
    """Ask for TIMES upgrades, 32 at a time; return the status lines that came."""
    lines: set[bytes] = set()
    left = iter(range(TIMES))

    async def ask() -> None:
        for _ in left:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(UPGRADE % path)
            lines.add((await reader.readline()).strip())
            await reader.read()
            writer.close()
            await writer.wait_closed()

    async with asyncio.TaskGroup() as group:
        for _ in range(32):
            group.create_task(ask())
    return lines


@contextlib.contextmanager
def descriptors_kept(served: Served) -> Iterator[None]:
    """Fail unless all processes have as many open files after the block as before it."""
    before = served.descriptors
    yield
    assert eventually(lambda: served.descriptors <= before, 90), (before, served.descriptors)


@pytest.mark.timeout(300)
async def test_upgrades_to_a_target_that_refuses_them(served: Served) -> None:
    target = Target(replying(answer(403, b"no")))
    try:
        served.add("/", target.url)
        with descriptors_kept(served):
            lines = await asyncio.to_thread(asyncio.run, upgrade_many(served.port, b"/ws"))
    finally:
        target.stop()
    assert lines == {b"HTTP/1.1 403 Fine"}


@pytest.mark.timeout(300)
async def test_upgrades_to_a_target_that_is_down(served: Served) -> None:
    with socket.socket() as nobody:
        # It does not listen, and nobody else can meanwhile.
        nobody.bind(("127.0.0.1", 0))
        served.add("/", f"http://127.0.0.1:{nobody.getsockname()[1]}")
        with descriptors_kept(served):
            lines = await asyncio.to_thread(asyncio.run, upgrade_many(served.port, b"/ws"))
    assert lines == {b"HTTP/1.1 503 Service Unavailable"}
