"""Who makes the traffic. Each actor does one thing and says what went wrong unprovoked."""

import asyncio
import contextlib
import random
import ssl
from collections import Counter
from dataclasses import dataclass, field

from tests.soak.targets import BLOCK, Target

UPGRADE = (
    b"GET %b HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
GET = b"GET %b HTTP/1.1\r\nHost: hub\r\n\r\n"
GONE = (OSError, asyncio.IncompleteReadError)


@dataclass
class Stage:
    """What the actors share. `steady` targets never die: whatever fails there is a fault."""

    port: int
    tls: ssl.SSLContext | None
    steady: list[Target]
    shaky: list[Target]
    done: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return "TLS" if self.tls else "plain"

    def path(self, tail: str, shaky: bool = False) -> bytes:
        """Return a path to some target."""
        kind, count = ("shaky", len(self.shaky)) if shaky else ("steady", len(self.steady))
        return f"/{kind}/{random.randrange(count)}/{tail}".encode()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection to the proxy."""
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=self.tls)

    def fault(self, what: str) -> None:
        """Note what must not have happened."""
        if len(self.faults) < 50:
            self.faults.append(what)


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, int]:
    """Return the status and the body's size of one response."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    size = 0
    if b"transfer-encoding: chunked" in head:
        while chunk := int(await reader.readline(), 16):
            size += len(await reader.readexactly(chunk + 2)) - 2
        await reader.readline()
    elif b"content-length: " in head:
        left = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        size = left
        while left:
            left -= len(await reader.readexactly(min(left, len(BLOCK))))
    return int(head.split(b" ")[1]), size


async def browse(stage: Stage) -> None:
    """Ask steady targets, several times on one connection."""
    reader, writer = await stage.connect()
    for _ in range(random.randrange(1, 20)):
        tail = random.choice(("page", "page", "page", "stream", "big"))
        writer.write(GET % stage.path(tail))
        status, _ = await read_answer(reader)
        if status != 200:
            stage.fault(f"a steady target's {tail} gave {status}")
    writer.close()


async def upload(stage: Stage) -> None:
    """Send a body of some size."""
    size = random.randrange(1, 1 << 20)
    reader, writer = await stage.connect()
    writer.write(
        b"POST %b HTTP/1.1\r\nHost: hub\r\nContent-Length: %d\r\n\r\n" % (stage.path("up"), size)
    )
    while size:
        block = BLOCK[: min(size, len(BLOCK))]
        writer.write(block)
        await writer.drain()
        size -= len(block)
    status, _ = await read_answer(reader)
    if status != 200:
        stage.fault(f"an upload gave {status}")
    writer.close()


async def talk(stage: Stage) -> None:
    """Open a tunnel, say something for a while, leave."""
    reader, writer = await stage.connect()
    writer.write(UPGRADE % stage.path("ws"))
    if b" 101 " not in await reader.readuntil(b"\r\n\r\n"):
        stage.fault("a steady target gave no tunnel")
        return
    for _ in range(random.randrange(50)):
        message = b"\x82\x85\0\0\0\0hello"
        writer.write(message)
        if await reader.readexactly(len(message)) != message:
            stage.fault("a tunnel's bytes were changed")
        await asyncio.sleep(random.random())
    writer.close()


async def linger(stage: Stage) -> None:
    """Keep a connection and ask now and then."""
    reader, writer = await stage.connect()
    for _ in range(random.randrange(1, 6)):
        writer.write(GET % stage.path("page"))
        status, _ = await read_answer(reader)
        if status != 200:
            stage.fault(f"a connection that had waited gave {status}")
        await asyncio.sleep(random.random() * 4)
    writer.close()


async def vanish(stage: Stage) -> None:
    """Ask for something large and be gone in the middle of it."""
    reader, writer = await stage.connect()
    writer.write(random.choice((GET % stage.path("big"), UPGRADE % stage.path("ws"), b"GET /x HT")))
    await asyncio.sleep(random.random() / 5)
    with contextlib.suppress(*GONE):
        await asyncio.wait_for(reader.read(1000), 0.2)
    writer.transport.abort()


async def dawdle(stage: Stage) -> None:
    """Read slowly."""
    reader, writer = await stage.connect()
    writer.write(GET % stage.path("big"))
    for _ in range(40):
        await reader.read(8192)
        await asyncio.sleep(0.05)
    writer.transport.abort()


async def risk(stage: Stage) -> None:
    """Ask targets that die: any answer or break is right, but it must come."""
    reader, writer = await stage.connect()
    writer.write(GET % stage.path(random.choice(("page", "big", "stream")), shaky=True))
    with contextlib.suppress(*GONE):
        status, _ = await read_answer(reader)
        if status not in (200, 503):
            stage.fault(f"a shaky target gave {status}")
    writer.close()


async def gamble(stage: Stage) -> None:
    """Hold a tunnel to a target that dies: it ends then, and not before."""
    reader, writer = await stage.connect()
    writer.write(UPGRADE % stage.path("ws", shaky=True))
    with contextlib.suppress(*GONE):
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 101 " in head:
            writer.write(b"\x82\x85\0\0\0\0hello")
            while await reader.read(1000):
                pass
        elif b" 503 " not in head:
            stage.fault(f"a shaky target's tunnel gave {head!r}")
    writer.close()


async def storm(stage: Stage) -> None:
    """Ask where nothing is."""
    reader, writer = await stage.connect()
    for _ in range(20):
        writer.write(GET % b"/nowhere/at/all")
        status, _ = await read_answer(reader)
        if status != 404:
            stage.fault(f"an unknown path gave {status}")
    writer.close()


ACTORS = {
    browse: 8,
    upload: 2,
    talk: 120,
    linger: 80,
    vanish: 6,
    dawdle: 20,
    risk: 6,
    gamble: 20,
    storm: 1,
}
"""How many of each are at it, at each hubgate."""
