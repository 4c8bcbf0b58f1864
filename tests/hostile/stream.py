"""One connection from the proxy to a recording target."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.hostile.canonical import NotCanonical, Request, read_body, read_head

SWITCH = b"/switch"
"""Requests below this path are answered with 101 at once and become tunnels that echo."""

EARLY = b"/early"
"""Requests below this path are answered, and recorded, as soon as their head is there."""


@dataclass(frozen=True)
class Record:
    """A whole request that target `at` got on its connection number `connection`."""

    number: int
    at: str
    connection: int
    request: Request


@dataclass
class Log:
    """What all connections have in common: records, connections, replies to certain paths."""

    records: list[Record] = field(default_factory=list)
    streams: list["Stream"] = field(default_factory=list)
    replies: dict[bytes, Callable[["Stream"], None]] = field(default_factory=dict)


class Stream(asyncio.Protocol):
    """One connection from the proxy."""

    def __init__(self, at: str, log: Log) -> None:
        self.at = at
        self.raw = b""
        self.violation = ""
        self.tunnel: bytes | None = None
        self.closed = False
        self.transport: asyncio.Transport
        self.writable = asyncio.Event()
        self._log = log
        self._number = len(log.streams)
        self._pending = b""
        self._head: Request | None = None
        self._early = False
        log.streams.append(self)

    @property
    def begun(self) -> bytes:
        """The beginning of a request that is not complete."""
        return (self._head.line if self._head is not None else b"") + self._pending

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.writable.set()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def data_received(self, data: bytes) -> None:
        self.raw += data
        if self.tunnel is not None:
            self.tunnel += data
            self.transport.write(data)
            return
        self._pending += data
        try:
            while self.tunnel is None and self._take_request():
                pass
        except NotCanonical as error:
            self.violation = str(error)
            self.transport.close()

    def _take_request(self) -> bool:
        if self._head is None:
            taken = read_head(self._pending)
            if taken is None:
                return False
            self._head, self._pending = taken
            self._early = self._answer_early(self._head)
        found = read_body(self._head, self._pending)
        if found is None:
            return False
        body, self._pending = found
        request, self._head = Request(self._head.line, self._head.fields, body), None
        if not self._early:
            self._reply(request, self._record(request))
        return True

    def _answer_early(self, request: Request) -> bool:
        """Answer a request of which only the head is there, if that is what is asked for."""
        reply = self._log.replies.get(request.path)
        if reply is None and not request.path.startswith(EARLY):
            return False
        number = self._record(request)
        if reply is not None:
            reply(self)
        else:
            self._answer(number)
        return True

    def _record(self, request: Request) -> int:
        number = len(self._log.records)
        self._log.records.append(Record(number, self.at, self._number, request))
        return number

    def _reply(self, request: Request, number: int) -> None:
        if request.path.startswith(SWITCH):
            protocol = request.get(b"upgrade") or b"none"
            self.transport.write(
                b"HTTP/1.1 101 Switching\r\nX-Record: %d\r\n"
                b"Connection: Upgrade\r\nUpgrade: %b\r\n\r\n" % (number, protocol)
            )
            self.tunnel, self._pending = self._pending, b""
            self.transport.write(self.tunnel)
        else:
            self._answer(number, request.method == b"HEAD")

    def _answer(self, number: int, head: bool = False) -> None:
        body = b"this is the answer to request %d of %b" % (number, self.at.encode())
        self.transport.write(
            b"HTTP/1.1 200 OK\r\nX-Record: %d\r\nContent-Length: %d\r\n\r\n" % (number, len(body))
            + (b"" if head else body)
        )
