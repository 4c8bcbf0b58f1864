"""Who makes the honest traffic. Each actor does one thing and says what went wrong unprovoked."""

import asyncio
import contextlib
import random

from tests.soak.stage import GET, GONE, UPGRADE, Stage, read_answer
from tests.soak.targets import BLOCK


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


async def change(stage: Stage) -> None:
    """Add a route, go there at once, and remove it again."""
    path = f"/passing/{random.randrange(200)}"
    url = f"http://127.0.0.1:{stage.steady[0].port}"
    added = await stage.call("POST", f"/api/routes{path}", {"target": url})
    reader, writer = await stage.connect()
    writer.write(GET % path.encode())
    status, _ = await read_answer(reader)
    writer.close()
    removed = await stage.call("DELETE", f"/api/routes{path}")
    if (added, status, removed) != (201, 200, 204):
        stage.fault(f"a route that came and went gave {added}, {status} and {removed}")


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
    change: 1,
}
"""How many of each are at it, at each hubgate."""
