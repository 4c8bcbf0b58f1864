"""Thousands of clients that dawdle, in every way there is, leave the others served."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.processes import files_allowed
from tests.soak.targets import Target
from tests.system.load import Connection
from tests.system.served import Served, serving

MOST = 2000
OTHERS = 100
# A client, and what of its answer it reads: nothing of it comes, or more than it reads.
SLOW = {
    "heads": (MOST, b"GET /slow/page HTTP/1.1\r\nHost: hub\r\nX-Slow: y", False),
    "bodies": (500, b"POST /slow/up HTTP/1.1\r\nHost: hub\r\nContent-Length: 9\r\n\r\nx", False),
    "readers": (500, b"GET /slow/big HTTP/1.1\r\nHost: hub\r\n\r\n", True),
}


@pytest.fixture(autouse=True)
def many_files() -> Iterator[None]:
    with files_allowed(2 * MOST):
        yield


@contextlib.asynccontextmanager
async def dawdling(port: int, kind: str) -> AsyncIterator[list[asyncio.StreamReader]]:
    """Open connections that begin a request and then do nothing; yield what comes from them."""
    count, begun, _ = SLOW[kind]
    clients = []
    for _ in range(count):
        # Read no further than the first bytes.
        clients.append(await asyncio.open_connection("127.0.0.1", port, limit=1))
        clients[-1][1].write(begun)
    yield [reader for reader, _ in clients]
    for _, writer in clients:
        writer.transport.abort()
    closing = (writer.wait_closed() for _, writer in clients)
    await asyncio.gather(*closing, return_exceptions=True)


async def others_are_served(served: Served) -> None:
    """Ask many times, on a connection that is kept and on new ones."""
    kept = await Connection.open(served.port)
    for number in range(OTHERS):
        one = kept if number % 2 else await Connection.open(served.port)
        assert await one.get("/quick/page") == (200, b"hello")
        if one is not kept:
            one.close()
    kept.close()


@pytest.mark.parametrize("kind", SLOW)
async def test_those_who_dawdle_hold_up_nobody(tmp_path: Path, kind: str) -> None:
    (tmp_path / "routes.yaml").write_text("timeouts: {head: 100, body: 100}\n")
    target = Target()
    await target.start()
    with serving(tmp_path) as served:
        for path in ("/slow", "/quick"):
            await asyncio.to_thread(served.add, path, f"http://127.0.0.1:{target.port}")
        async with dawdling(served.port, kind) as slow:
            if SLOW[kind][2]:
                assert [await reader.read(1) for reader in slow] == [b"H"] * len(slow)
            await others_are_served(served)
            # They were there all the time, and nobody had been answered or turned away.
            assert not any(reader.at_eof() for reader in slow)
            assert SLOW[kind][2] or not any(reader._buffer for reader in slow)  # type: ignore[attr-defined]
    await target.stop()
