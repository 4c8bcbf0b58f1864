"""The downstream side of HTTP/1.1: aiohttp's server, one level below its handlers.

aiohttp's `web.Server` keeps the connections; `DownstreamConnection` replaces the task, the parser
and the objects that `web.RequestHandler` spends on every request with callbacks that forward
straight from `data_received`. Everything that relies on aiohttp's internals is in this file and
listed in tests/dataplane/downstream/test_aiohttp_internals.py.
"""

import asyncio
import socket
import struct
from collections.abc import Sequence
from enum import Enum, IntFlag
from typing import NamedTuple, Protocol, cast

from aiohttp import web
from aiohttp.base_protocol import BaseProtocol

from hubgate.dataplane.downstream.admission import Admission
from hubgate.errors import RequestTimeoutError
from hubgate.http1.fast_path import HeaderBlocks
from hubgate.http1.reader import IncomingRequest, RequestReader
from hubgate.model import Limits, Timeouts
from hubgate.transport.allocator import discard_read_buffer
from hubgate.transport.flow import WRITE_BUFFER, peer_has_closed

# A client that is still sending when its response is complete gets this long, in seconds, to read
# it before the connection is cut (nginx: lingering_timeout).
LINGER = 5.0
# A client that does not read the end of its response gets this long from one byte to the next
# (nginx: send_timeout).
SEND_TIMEOUT = 60.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_FOREVER = float("inf")


class DownstreamState(Enum):
    """IDLE ↔ BUSY while requests come; then LINGERING or DETACHED (a tunnel); then CLOSED."""

    IDLE = "idle"
    BUSY = "busy"
    LINGERING = "lingering"
    DETACHED = "detached"
    CLOSED = "closed"


# Python 3.11 looks up an Enum member in a dictionary every time: too slow for each request.
_IDLE, _BUSY = DownstreamState.IDLE, DownstreamState.BUSY
_SERVING = (_IDLE, _BUSY)


class Hold(IntFlag):
    """Why reading from a client is paused."""

    NONE = 0
    PIPELINE = 1
    CONNECTING = 2
    UPSTREAM = 4


class Origin(NamedTuple):
    """What the forwarding rules go by: the address, whether TLS, whether the peer is trusted."""

    peer: str
    secure: bool
    trusted: bool


class Stream(Protocol):
    """What handles one request of a client: the data plane's Exchange."""

    def start(self) -> None:
        """Begin: the request's head has arrived, perhaps its body too."""

    def on_request_data(self) -> None:
        """More of the body arrived, or its end, or its error."""

    def on_client_lost(self) -> None:
        """The client is gone: stop everything, send nothing."""

    def on_client_writable(self, writable: bool) -> None:
        """The client's write buffer passed its high (False) or low (True) mark."""


class DownstreamServices(Protocol):
    """What a connection needs from the data plane."""

    limits: Limits
    header_blocks: HeaderBlocks
    timeouts: Timeouts
    admission: Admission

    def open_stream(self, client: "DownstreamConnection", request: IncomingRequest) -> Stream:
        """Return the stream that will handle `request`."""


class DownstreamServer(web.Server):
    """aiohttp's low-level server; its connections are `DownstreamConnection`s."""

    def __init__(self, plane: DownstreamServices) -> None:
        super().__init__(_unused_handler)
        self.plane = plane
        self.loop = asyncio.get_running_loop()

    def __call__(self) -> "DownstreamConnection":
        return DownstreamConnection(self)

    @property
    def clients(self) -> Sequence["DownstreamConnection"]:
        """The open connections, tunnels excepted, as a new list."""
        return cast(Sequence[DownstreamConnection], self.connections)


async def _unused_handler(request: web.BaseRequest) -> web.StreamResponse:
    raise web.HTTPInternalServerError  # DownstreamConnection answers everything itself


class DownstreamConnection(web.RequestHandler):
    """One client's connection: reads its requests and serves them one after another.

    `closing` is set when no further request will be served after the current one; `deadline`,
    in the loop's seconds, is when the plane's sweep calls `expire`. `origin` and `forwarded_*`
    are what the forwarding rules remember about the connection.
    """

    __slots__ = (
        "_advancing",
        "_clock",
        "_head_begun",
        "_hold",
        "_plane",
        "_reader",
        "_server",
        "_stream",
        "_unsent",
        "closing",
        "deadline",
        "forwarded_host",
        "forwarded_lines",
        "origin",
        "peer",
        "secure",
        "state",
        "writable",
    )

    transport: asyncio.Transport

    def __init__(self, server: DownstreamServer) -> None:
        # Not RequestHandler's: it would build a second parser, a logger and a queue.
        BaseProtocol.__init__(self, server.loop)
        self._task_handler = None
        self._server = server
        self._plane = server.plane
        self._reader = RequestReader(server.plane.limits, server.plane.header_blocks)
        self._stream: Stream | None = None
        self._hold = Hold.NONE
        self._advancing = False
        self._head_begun = False
        self._unsent = 0
        self.state = _IDLE
        self.closing = False
        # False while the write buffer is over its high mark.
        self.writable = True
        self._clock = server.loop.time
        self.deadline = self._clock() + server.plane.timeouts.keep_alive
        self.peer = ""
        self.secure = False
        self.origin: Origin | None = None
        self.forwarded_host: bytes | None = None
        self.forwarded_lines: list[bytes] | None = None

    def __repr__(self) -> str:
        return f"<DownstreamConnection {self.peer or 'unix'} {self.state.value}>"

    # --- asyncio.Protocol ----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not BaseProtocol's: event loops have set TCP_NODELAY already.
        self.transport = cast(asyncio.Transport, transport)
        name = transport.get_extra_info("peername")
        self.peer = _unmapped(name[0]) if isinstance(name, tuple) else ""
        self.secure = transport.get_extra_info("sslcontext") is not None
        if self.secure:
            self.transport.set_write_buffer_limits(WRITE_BUFFER)
            discard_read_buffer(transport)
        self._server.connection_made(self, self.transport)
        if (error := self._plane.admission.enter(self.peer)) is not None:
            self._reader.fail(error)
            self._advance()

    def connection_lost(self, exc: BaseException | None) -> None:
        if self.state is DownstreamState.DETACHED:
            # Over TLS, loops choose which protocol to notify a turn earlier, before the tunnel.
            cast(BaseProtocol, self.transport.get_protocol()).connection_lost(exc)
            return
        self.state = DownstreamState.CLOSED
        self._server.connection_lost(self, exc)
        self._plane.admission.leave(self.peer)
        self._reader.close()
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.on_client_lost()

    def eof_received(self) -> None:
        # As nginx and Node do: a client that closes its sending side has left.
        if self.state is DownstreamState.BUSY:
            self.abort()

    def pause_writing(self) -> None:
        self._paused, self.writable = True, False
        if self._stream is not None:
            self._stream.on_client_writable(False)

    def resume_writing(self) -> None:
        self._paused, self.writable = False, True
        if self._stream is not None:
            self._stream.on_client_writable(True)

    def data_received(self, data: bytes) -> None:
        if self.state is _IDLE or self.state is _BUSY:
            self._reader.feed(data)
            self._advance()

    # --- requests ------------------------------------------------------------------------

    def _advance(self) -> None:
        """Hand what was read to the streams, one request after another, without recursion."""
        if self._advancing:
            return
        self._advancing = True
        requests = self._reader.requests
        if self._stream is not None and requests:
            self._stream.on_request_data()
        while self._stream is None and requests and self.state in _SERVING:
            self.state = _BUSY
            self._head_begun = False
            self._stream = self._plane.open_stream(self, requests[0])
            self._stream.start()
        self._advancing = False
        if requests and (len(requests) > 1 or requests[0].leftover):
            self.hold(Hold.PIPELINE)
        elif self._hold:
            self.unhold(Hold.PIPELINE)
        self._limit_time()

    def _limit_time(self) -> None:
        """Set the deadline for what the client has begun to send: a head, or a body."""
        if self.state is _BUSY:
            if self._hold or not self._reader.requests[0].ended:
                self.deadline = self._server.loop.time() + self._plane.timeouts.body
            else:
                self.deadline = _FOREVER
        elif self._reader.in_head and not self._head_begun:
            self._head_begun = True
            self.deadline = self._server.loop.time() + self._plane.timeouts.head

    def done(self, keep: bool) -> None:
        """The current request is answered; go on with the next one if `keep`, else close."""
        self._stream = None
        if self.state is not _BUSY:
            return
        reader = self._reader
        request = reader.requests.popleft()
        if not keep or self.closing or (reader.failed and not reader.requests):
            self._end(linger=not request.ended or reader.failed)
            return
        if self._hold:
            # Checked first, because Python takes half a microsecond for each operation on flags.
            self.unhold(Hold.CONNECTING | Hold.UPSTREAM)
        self.state = _IDLE
        self.deadline = self._clock() + self._plane.timeouts.keep_alive
        if reader.requests or reader.in_head:
            self._advance()

    def hold(self, reason: Hold) -> None:
        """Stop reading from the client for one more reason."""
        if not self._hold and self.state is not DownstreamState.CLOSED:
            self.transport.pause_reading()
        self._hold |= reason

    def unhold(self, reason: Hold) -> None:
        """Drop a reason; reading resumes when none is left."""
        if self._hold & reason:
            self._hold &= ~reason
            if not self._hold and self.state is not DownstreamState.CLOSED:
                self.transport.resume_reading()

    # --- ending --------------------------------------------------------------------------

    def detach(self) -> asyncio.Transport:
        """Hand the transport over to a tunnel, which is still counted as a connection."""
        self.state = DownstreamState.DETACHED
        self._server.connection_lost(self, None)
        self._stream = None
        self._reader.close()
        if self._hold:
            self.transport.resume_reading()
        return self.transport

    def abort(self) -> None:
        """Break the connection so that the client cannot take its response for a whole one."""
        if self.state in (DownstreamState.CLOSED, DownstreamState.DETACHED):
            return
        raw = self.transport.get_extra_info("socket")
        if raw is not None and raw.family != socket.AF_UNIX:
            # A reset, not an end: a body that ends with the connection would look complete.
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()

    def finish_up(self) -> None:
        """Close now if idle, else after the current response (draining)."""
        self.closing = True
        if self.state is DownstreamState.IDLE:
            self._end(linger=False)

    def expire(self) -> None:
        """The deadline has passed: answer what is half sent, close what is idle or lingering."""
        if self.state is DownstreamState.BUSY and (self._hold or self._reader.requests[0].ended):
            # We are the ones not reading: the client gets its time again, if it is still there.
            self.deadline = self._server.loop.time() + self._plane.timeouts.body
            if peer_has_closed(self.transport):
                self.abort()
        elif self.state is DownstreamState.BUSY or self._reader.in_head:
            what = "body" if self.state is DownstreamState.BUSY else "head"
            self._reader.fail(RequestTimeoutError(f"the request's {what} did not arrive in time"))
            self._advance()
        elif self.state is DownstreamState.IDLE:
            self._end(linger=False)
        elif self.transport.get_write_buffer_size() < self._unsent:
            self._wait_for_reader()
        else:
            self.transport.abort()

    def _end(self, linger: bool) -> None:
        """Close after what is buffered. A client still sending would lose it to a reset."""
        self.state = DownstreamState.LINGERING
        self._wait_for_reader()
        if linger and self.transport.can_write_eof():
            self._hold = Hold.NONE
            self.transport.write_eof()
            self.transport.resume_reading()
        elif not self.transport.is_closing():  # asyncio's TLS cannot be closed twice
            self.transport.close()

    def _wait_for_reader(self) -> None:
        """Give the client time to read what is buffered for it."""
        self._unsent = self.transport.get_write_buffer_size()
        patience = SEND_TIMEOUT if self._unsent else LINGER
        self.deadline = self._server.loop.time() + patience


def _unmapped(address: str) -> str:
    """Return the IPv4 address that a socket for both families shows as `::ffff:192.0.2.1`."""
    return address[7:] if address.startswith("::ffff:") and "." in address else address
