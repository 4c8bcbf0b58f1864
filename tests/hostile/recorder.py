"""Targets on real sockets that keep every byte they get and number every request."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from tests.hostile.stream import Log, Record, Stream

T = TypeVar("T")


@dataclass(frozen=True)
class Mark:
    """A point in time: how many records there were, and how many bytes of each connection."""

    records: int
    bytes: tuple[int, ...]


@dataclass(frozen=True)
class Sighting:
    """What the targets saw since a mark.

    `begun` are beginnings of requests that are not complete, `violations` bytes that are no
    canonical request, `tunnels` what came through tunnels.
    """

    records: tuple[Record, ...]
    begun: tuple[bytes, ...]
    violations: tuple[str, ...]
    tunnels: tuple[bytes, ...]


class Recorder:
    """Targets with the given names, all served by one thread."""

    def __init__(self, names: Sequence[str]) -> None:
        self._log = Log()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="recorder")
        self._thread.start()
        self._servers = self._run(self._listen(names))

    def url(self, name: str) -> str:
        """Where a target listens."""
        host, port = self._servers[name].sockets[0].getsockname()[:2]
        return f"http://{host}:{port}"

    def reply(self, path: bytes, reply: Callable[[Stream], None]) -> None:
        """Have requests for exactly `path` answered by `reply`, as soon as their head is there."""
        self._log.replies[path] = reply

    def mark(self) -> Mark:
        """Return this point in time, when all that was sent so far has been read."""
        return self._run(self._mark())

    def since(self, mark: Mark) -> Sighting:
        """Return what has come since `mark`, when all that was sent so far has been read."""
        return self._run(self._since(mark))

    def got(self, mark: Mark, data: bytes) -> bool:
        """Say whether `data` has come on any connection since `mark`."""
        return self._run(self._got(mark, data))

    def stop(self) -> None:
        """Close every connection and end the thread."""
        try:
            self._run(self._close())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    async def _listen(self, names: Sequence[str]) -> dict[str, asyncio.Server]:
        return {
            name: await self._loop.create_server(partial(Stream, name, self._log), "127.0.0.1", 0)
            for name in names
        }

    async def _settle(self) -> None:
        # Every turn of the loop polls the sockets: what the kernel holds is read when one
        # turn after another has found nothing.
        quiet, known = 0, -1
        while quiet < 4:
            await asyncio.sleep(0)
            total = sum(len(stream.raw) for stream in self._log.streams) + len(self._log.streams)
            quiet, known = (quiet + 1 if total == known else 0), total

    async def _mark(self) -> Mark:
        await self._settle()
        return Mark(len(self._log.records), tuple(len(each.raw) for each in self._log.streams))

    def _fresh(self, mark: Mark) -> list[tuple[Stream, int]]:
        before = [*mark.bytes, *[0] * (len(self._log.streams) - len(mark.bytes))]
        pairs = zip(self._log.streams, before, strict=True)
        return [(stream, size) for stream, size in pairs if len(stream.raw) > size]

    async def _since(self, mark: Mark) -> Sighting:
        await self._settle()
        fresh = [stream for stream, _ in self._fresh(mark)]
        return Sighting(
            tuple(self._log.records[mark.records :]),
            tuple(stream.begun for stream in fresh if stream.begun and not stream.violation),
            tuple(stream.violation for stream in fresh if stream.violation),
            tuple(stream.tunnel for stream in fresh if stream.tunnel is not None),
        )

    async def _got(self, mark: Mark, data: bytes) -> bool:
        return any(data in stream.raw[size:] for stream, size in self._fresh(mark))

    async def _close(self) -> None:
        for server in self._servers.values():
            server.close()
        for stream in self._log.streams:
            if not stream.closed:
                stream.transport.abort()
        ours = asyncio.all_tasks() - {asyncio.current_task()}
        for task in ours:
            task.cancel()
        await asyncio.gather(*ours, return_exceptions=True)
