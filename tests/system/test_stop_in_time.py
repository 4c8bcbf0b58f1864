"""A stop ends within its time, whatever is left, and says what it could not wait for."""

import asyncio
import contextlib
import os
import signal
import ssl
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.certificates.made import make_files
from tests.contract.ports import free_ports
from tests.dataplane.wire import request
from tests.system.served import serving

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="a pipe that nobody reads"),
    pytest.mark.timeout(300),
]

LIMIT = 10
# What a busy machine may add, in seconds.
NOISE = 0.5
SWITCH = b"HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
# The beginning of a frame: none can be told that its tunnel ends.
FRAME = b"\x82\x7e\xff\xff"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Never end what is asked for."""
    line = await reader.readline()
    await reader.readuntil(b"\r\n\r\n")
    if line.startswith(b"GET /half"):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    elif line.startswith(b"GET /ws"):
        writer.write(SWITCH + FRAME)
    await reader.read()
    writer.close()


@pytest.fixture
async def target() -> AsyncIterator[str]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


class Clients:
    """Connections that stay open."""

    def __init__(self) -> None:
        self._writers: list[asyncio.StreamWriter] = []

    async def open(
        self, port: int, data: bytes, until: bytes = b"", tls: ssl.SSLContext | None = None
    ) -> asyncio.StreamReader:
        """Connect, send `data` and read up to `until`."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
        self._writers.append(writer)
        writer.write(data)
        await writer.drain()
        if until:
            await asyncio.wait_for(reader.readuntil(until), 30)
        return reader

    async def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@pytest.fixture
async def clients() -> AsyncIterator[Clients]:
    clients = Clients()
    yield clients
    await clients.close()


def fill(pipe: int) -> None:
    """Write until nothing more goes in."""
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(pipe, bytes(4096))


async def test_whatever_is_left(tmp_path: Path, target: str, clients: Clients) -> None:
    files = make_files(tmp_path)
    tls = ssl.create_default_context(cafile=files.ca)
    redirect, _ = free_ports()
    os.mkfifo(tmp_path / "access.log")
    pipe = os.open(tmp_path / "access.log", os.O_RDWR | os.O_NONBLOCK)
    fill(pipe)
    flags = ("--tls-cert", files.cert, "--tls-key", files.key, "--host", "127.0.0.1")
    flags += ("--redirect-port", str(redirect), "--access-log", "access.log")
    with serving(tmp_path, *flags) as served:
        await asyncio.to_thread(served.add, "/", target)
        waiting = await clients.open(served.port, request("GET", "/wait"), tls=tls)
        await clients.open(served.port, request("GET", "/half"), b"half", tls)
        upgrade = request("GET", "/ws", "Connection: Upgrade", "Upgrade: websocket")
        await clients.open(served.port, upgrade, FRAME, tls)
        await clients.open(redirect, request("GET", "/"), b"\r\n\r\n")
        token = f"Authorization: token {served.token}"
        call = request("POST", "/api/routes/x", token, "Content-Length: 100") + b"{"
        await clients.open(served.api_port, call)
        begun = time.monotonic()
        served.process.send_signal(signal.SIGTERM)
        answer = await asyncio.wait_for(waiting.read(), 60)
        assert await asyncio.to_thread(served.process.wait, 60) == 0
        took = time.monotonic() - begun
    os.close(pipe)
    print(f"took {took:.2f} s")
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nConnection: close\r\n" in answer
    log = (tmp_path / "serve.log").read_text()
    assert "cut off 2 requests and 1 tunnel that did not end in time: / (3)" in log
    assert took < LIMIT + NOISE
