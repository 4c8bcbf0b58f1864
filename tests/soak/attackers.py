"""Who does harm on purpose, each with one thing, and never for long.

Nothing that happens to an attacker is a fault. The faults are what others notice: the bystander,
the honest actors, whoever counts memory, descriptors and workers.
"""

import asyncio
import contextlib
import random
import ssl
from collections.abc import Awaitable, Callable

from tests.soak.stage import GET, GONE, UPGRADE, Stage

SECONDS = 5.0
"""How long an attack lasts at most."""
_MOST = 4 << 20  # what an attack sends at most, in bytes
_BLOCK = 1 << 16
_DEAF = 4096  # the receive buffer of those who do not read, in bytes
_REST = 1.0  # the longest pause between two attacks, in seconds

_LINES = b"".join(b"X-%d: %d\r\n" % (number, number) for number in range(200))
_LAST_CHUNK = b"0\r\n\r\n"
# What somebody may send and then be silent.
_BEGINNINGS = (
    b"",
    b"GET / HT",
    b"GET / HTTP/1.1\r\nHost: hub\r\nX: ",
    b"POST /api/routes/x HTTP/1.1\r\nHost: hub\r\nContent-Length: 1000\r\n\r\nhalf",
)


async def attack(attacker: Callable[[Stage], Awaitable[None]], stage: Stage) -> None:
    """Let one attacker strike once, unless it is calm; then rest for a moment."""
    if not stage.calm:
        with contextlib.suppress(TimeoutError, RuntimeError, *GONE):
            async with asyncio.timeout(SECONDS):
                await attacker(stage)
        stage.done["attacks"] += 1
    await asyncio.sleep(random.random() * _REST)


async def _flood(stage: Stage, piece: bytes, opening: bytes = b"", ending: bytes = b"") -> None:
    """Send the same piece again and again, reading whatever comes back."""
    reader, writer = await stage.connect()
    reading = asyncio.create_task(_read(reader))  # noqa: TID251 - it ends below
    try:
        writer.write(opening)
        await _repeat(writer, piece)
        writer.write(ending)
        await reading
    finally:
        reading.cancel()
        writer.transport.abort()


async def _repeat(writer: asyncio.StreamWriter, piece: bytes) -> None:
    block = piece * (_BLOCK // len(piece))
    for _ in range(_MOST // len(block)):
        writer.write(block)
        await writer.drain()


async def _read(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(*GONE):
        while await reader.read(_BLOCK):
            pass


async def ask_for_nothing(stage: Stage) -> None:
    """Pipeline requests that we answer ourselves."""
    await _flood(stage, GET % random.choice((b"/nowhere", b"/_chp_healthz")))


async def send_many_headers(stage: Stage) -> None:
    """Pipeline requests of 200 header lines."""
    await _flood(stage, GET[:-2] % stage.path("page") + _LINES + b"\r\n")


async def send_crumbs(stage: Stage) -> None:
    """Upload a body in chunks of a byte."""
    opening = b"POST %b HTTP/1.1\r\nHost: hub\r\nTransfer-Encoding: chunked\r\n\r\n"
    await _flood(stage, b"1\r\nx\r\n", opening % stage.path("up"), _LAST_CHUNK)


async def send_tiny_frames(stage: Stage) -> None:
    """Send, and get back, websocket frames of two bytes."""
    await _flood(stage, b"\x89\x00", UPGRADE % stage.path("ws"))


async def fetch_crumbs(stage: Stage) -> None:
    """Have a target send tiny chunks, or interim responses without end."""
    reader, writer = await stage.connect()
    try:
        writer.write(GET % stage.path(random.choice(("crumbs", "hints"))))
        await _read(reader)
    finally:
        writer.transport.abort()


async def ask_and_not_read(stage: Stage) -> None:
    """Pipeline requests and read no answer."""
    _, writer = await stage.connect(_DEAF)
    try:
        await _repeat(writer, GET % b"/nowhere")
        await asyncio.sleep(SECONDS)
    finally:
        writer.transport.abort()


async def fetch_and_not_read(stage: Stage) -> None:
    """Ask a target for 8 MiB and read nothing."""
    _, writer = await stage.connect(_DEAF)
    try:
        writer.write(GET % stage.path("huge"))
        await asyncio.sleep(SECONDS)
    finally:
        writer.transport.abort()


async def fall_silent(stage: Stage) -> None:
    """Begin something on one of the ports, perhaps a TLS handshake, and stop in the middle."""
    beginnings = (*_BEGINNINGS, _half_hello())
    sock = await stage.connect_raw(random.choice(list(stage.ports)))
    try:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(sock, random.choice(beginnings))
        while await loop.sock_recv(sock, _BLOCK):
            pass
    finally:
        sock.close()


def _half_hello() -> bytes:
    """Return the first half of what a TLS client says first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    said = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), said, server_hostname="127.0.0.1")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    hello = said.read()
    return hello[: len(hello) // 2]


ATTACKERS = {
    ask_for_nothing: 2,
    send_many_headers: 1,
    send_crumbs: 1,
    send_tiny_frames: 1,
    fetch_crumbs: 2,
    ask_and_not_read: 2,
    fetch_and_not_read: 4,
    fall_silent: 16,
}
"""How many of each are at it, at each hubgate."""
