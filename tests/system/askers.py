"""Clients that ask again as soon as they are answered, and miss every request that is lost."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum

from hubgate.tasks import spawn

PATIENCE = 60.0
PAUSE = 0.04
"""Seconds between a target's head and its body."""

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
_BODY = b"hello"
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n")


class HeadFirst(asyncio.Protocol):
    """A target that sends its head at once, and the body a moment later."""

    def __init__(self) -> None:
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        heads = (self._rest + data).split(b"\r\n\r\n")
        self._rest = heads.pop()
        for _ in heads:
            self._transport.write(_HEAD)
            asyncio.get_running_loop().call_later(PAUSE, self._end)

    def _end(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(_BODY)


@asynccontextmanager
async def head_first_target() -> AsyncIterator[str]:
    """Serve `HeadFirst`; yield its URL."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(HeadFirst, "127.0.0.1", 0, backlog=1024)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


class Kind(Enum):
    """How a client asks: the request, and how many it sends ahead."""

    USUAL = b"GET /a HTTP/1.1\r\nHost: hub\r\n\r\n", 1
    OLD = b"GET /a HTTP/1.0\r\nHost: hub\r\nConnection: keep-alive\r\n\r\n", 1
    PIPELINE = b"GET /a HTTP/1.1\r\nHost: hub\r\n\r\n", 4


class Asker(asyncio.Protocol):
    """One connection, used until a response says that it is the last.

    `done` is when it has ended: with None, or with what was lost.
    """

    def __init__(self, kind: Kind, load: "Askers") -> None:
        self._request, self._ahead = kind.value
        self._old = kind is Kind.OLD
        self._load = load
        self._data = b""
        self._asked = self._answered = 0
        self._told = False
        self.done: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        missing = self._ahead - (self._asked - self._answered)
        self._asked += missing
        self._transport.write(self._request * missing)

    def data_received(self, data: bytes) -> None:
        self._data += data
        while not self._told and (end := self._data.find(b"\r\n\r\n") + 4) > 3:
            head = self._data[:end].lower()
            length = _LENGTH.search(head)
            assert length is not None, head
            if len(self._data) < end + int(length[1]):
                break
            body, self._data = (
                self._data[end : end + int(length[1])],
                self._data[end + int(length[1]) :],
            )
            self._take(head, body)
        if self._told or self._load.ending:
            self._transport.close()
        else:
            self._ask()

    def _take(self, head: bytes, body: bytes) -> None:
        self._answered += 1
        self._load.answered += 1
        # What was sent behind the last one is not served, and the client knows it.
        kept = b"\r\nconnection: keep-alive" in head
        self._told = not kept if self._old else b"\r\nconnection: close" in head
        if not head.startswith(b"http/1.1 200") or body != _BODY:
            self._load.failures.append(f"{head!r} {body!r}")

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._told and not self._load.ending and self._asked > self._answered:
            what = f"{self._answered} answers, then {exc or 'an end'} after {self._data!r}"
            self.done.set_result(what)
        else:
            self.done.set_result(None)


class Askers:
    """So many clients of each kind; `failures` has a line for every request that was lost.

    `lag` is how long, in seconds, this process could not run, at most: clients were as late.
    """

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.failures: list[str] = []
        self.answered = 0
        self.ending = False
        self.stopping = False
        self.lag = 0.0
        self._port = port
        self._tls = tls
        self._tasks: list[asyncio.Task[None]] = []
        self._watch = spawn(self._watch_lag(), "lag")

    def start(self, count: int) -> None:
        """Begin with `count` clients in all."""
        kinds = [*Kind]
        for number in range(count):
            self._tasks.append(spawn(self._client(kinds[number % len(kinds)]), "client"))

    async def more(self, count: int) -> None:
        """Wait until so many more requests are answered."""
        goal = self.answered + count
        async with asyncio.timeout(PATIENCE):
            while self.answered < goal and not self.failures:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """End all clients after their present request, or when nobody listens any more."""
        self.ending = not self.stopping
        try:
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(*self._tasks)
        finally:
            for task in (self._watch, *self._tasks):
                task.cancel()

    async def _client(self, kind: Kind) -> None:
        loop = asyncio.get_running_loop()
        while not self.ending:
            try:
                _, asker = await loop.create_connection(
                    lambda: Asker(kind, self), "127.0.0.1", self._port, ssl=self._tls
                )
            except OSError as error:
                if not self.stopping:
                    self.failures.append(f"{kind.name}: {error!r}")
                return
            lost = await asker.done
            # The last ones to connect are in a queue that nobody takes up any more.
            if lost is not None and not (self.stopping and lost.startswith("0 answers")):
                self.failures.append(f"{kind.name}: {lost}")

    async def _watch_lag(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(0.01)
            self.lag = max(self.lag, loop.time() - before)
