"""A target that answers every request at once, and readers who miss every answer but that."""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

from hubgate.tasks import spawn
from tests.cluster import Replica


class _Answering(asyncio.Protocol):
    def __init__(self) -> None:
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *heads, self._rest = (self._rest + data).split(b"\r\n\r\n")
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" * len(heads))


@asynccontextmanager
async def answering(sock: socket.socket | None = None) -> AsyncIterator[str]:
    """Answer requests on that socket, or on one of its own; yield the URL."""
    sock = sock or socket.create_server(("127.0.0.1", 0), backlog=1024)
    server = await asyncio.get_running_loop().create_server(_Answering, sock=sock)
    host, port = sock.getsockname()[:2]
    async with server:
        yield f"http://{host}:{port}"


class Readers:
    """Somebody for each way to ask; `failures` counts whatever was not the answer expected.

    A way is a function that asks for a path and returns the status. `paths` should be there, `gone`
    should not; both may be changed meanwhile.
    """

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.gone: list[str] = []
        self.failures: Counter[str] = Counter()
        self.answered = 0
        self._ending = False
        self._tasks: list[asyncio.Task[None]] = []

    def read(self, name: str, get: Callable[[str], object]) -> None:
        """Begin to ask in one more way."""
        self._tasks.append(spawn(self._read(name, get), f"reader of {name}"))

    async def more(self, count: int = 100) -> None:
        """Wait until so many more requests are answered."""
        goal = self.answered + count
        async with asyncio.timeout(60):
            while self.answered < goal and not self.failures:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """End them after their present requests."""
        self._ending = True
        await asyncio.gather(*self._tasks)

    async def _read(self, name: str, get: Callable[[str], object]) -> None:
        number = 0
        while not self._ending:
            number += 1
            for paths, expected in ((self.paths, 200), (self.gone, 404)):
                if paths:
                    await self._ask(name, get, paths[number % len(paths)], expected)
            await asyncio.sleep(0.01)

    async def _ask(self, name: str, get: Callable[[str], object], path: str, expected: int) -> None:
        try:
            status = await get(path)  # type: ignore[misc]
        except (OSError, EOFError) as error:
            self.failures[f"{name} {path}: {error!r}"] += 1
            return
        self.answered += 1
        if status != expected and path in (self.paths if expected == 200 else self.gone):
            self.failures[f"{name} {path}: {status}, not {expected}"] += 1


@asynccontextmanager
async def reading(replicas: Iterable[Replica], paths: Sequence[str]) -> AsyncIterator[Readers]:
    """Ask for known paths through all replicas during the block; fail if any request did."""
    readers = Readers()
    readers.paths += paths
    for each in replicas:
        readers.read(each.name, each.get)
    try:
        yield readers
    finally:
        await readers.stop()
    assert not readers.failures, readers.failures
    assert readers.answered
