"""What clients that read nothing cost a worker, whoever answers them."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.system.served import Served, serving

CLIENTS = 300
MOST = 128 << 10
"""What each may cost, in bytes."""

PIPELINE = b"GET /none HTTP/1.1\r\nHost: hub\r\n\r\n" * 4000
LARGE = b"GET /x HTTP/1.1\r\nHost: hub\r\n\r\n"


@contextmanager
def strangers(port: int) -> Iterator[list[socket.socket]]:
    """Yield connections whose clients take little unread."""
    with ExitStack() as open_ones:
        yield [open_ones.enter_context(deaf(port)) for _ in range(CLIENTS)]


def deaf(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", port))
    sock.setblocking(False)
    return sock


def send(clients: list[socket.socket], data: bytes) -> None:
    for client in clients:
        with suppress(BlockingIOError):
            client.send(data)


async def cost(served: Served, before: int, clients: list[socket.socket], data: bytes) -> float:
    """Have all send, and again; return what each costs when nothing more happens."""
    seen = 0
    for _ in range(20):
        send(clients, data)
        await asyncio.sleep(0.1)
        seen = max(seen, served.resident)
    return (seen - before) / len(clients)


@pytest.mark.processes
async def test_our_own_answers_wait(tmp_path: Path) -> None:
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "404.html").write_bytes(b"x" * 20_000)
    (tmp_path / "routes.yaml").write_text(f"forward: {{error_path: {pages}}}\n")
    with serving(tmp_path, "--host", "127.0.0.1") as served, strangers(served.port) as clients:
        with urlopen_error(served.port) as page:
            assert len(page.read()) == 20_000
        assert await cost(served, served.resident, clients, PIPELINE) < MOST


def urlopen_error(port: int) -> HTTPError:
    """Return the error page that everybody gets."""
    with pytest.raises(HTTPError) as raised:
        urlopen(f"http://127.0.0.1:{port}/none", timeout=10)
    return raised.value


async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each request with 8 MiB."""
    block = bytes(1 << 16)
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (128 * len(block)))
            for _ in range(128):
                writer.write(block)
                await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        writer.close()


@pytest.mark.processes
async def test_answers_of_a_target_wait(tmp_path: Path) -> None:
    target = await asyncio.start_server(flood, "127.0.0.1", 0)
    port = target.sockets[0].getsockname()[1]
    with serving(tmp_path, "--host", "127.0.0.1") as served, strangers(served.port) as clients:
        await asyncio.to_thread(served.add, "/x", f"http://127.0.0.1:{port}")
        before = served.resident
        send(clients, LARGE)
        assert await cost(served, before, clients, b"") < MOST
    target.close()
