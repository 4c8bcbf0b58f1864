"""Somebody who asks again and again while a proxy is replaced."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from hubgate.tasks import spawn

# What a connection may end with when the worker that accepted it is killed.
CUT = (ConnectionResetError, BrokenPipeError)


class Asked(NamedTuple):
    """A request on a connection of its own: when it began and ended, on the loop's clock."""

    begun: float
    ended: float
    answered: bool


async def ask(port: int) -> Asked:
    """Ask once on a new connection; whether it was answered. Fails if it is refused."""
    clock = asyncio.get_running_loop().time
    begun = clock()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /_chp_healthz HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
    except CUT:
        answer = b""
    return Asked(begun, clock(), b" 200 " in answer)


@asynccontextmanager
async def asking(port: int) -> AsyncIterator[list[Asked]]:
    """Have somebody come every few milliseconds; gives who was answered, and who was cut off."""
    outcomes: list[Asked] = []

    async def come() -> None:
        outcomes.append(await ask(port))

    async def keep_coming() -> None:
        coming = []
        while not told.is_set():
            coming.append(spawn(come(), "ask"))
            await asyncio.sleep(0.005)
        async with asyncio.timeout(120):
            await asyncio.gather(*coming)

    told = asyncio.Event()
    crowd = spawn(keep_coming(), "ask again and again")
    yield outcomes
    told.set()
    await crowd
