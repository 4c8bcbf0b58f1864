"""The downstream side of HTTP/1.1: aiohttp's server, one level below its handlers.

aiohttp's `web.Server` keeps the connections; `DownstreamConnection` replaces the task, the parser
and the objects that `web.RequestHandler` spends on every request with callbacks that forward
straight from `data_received`. Everything that relies on aiohttp's internals is in this file and
`server.py`, and listed in tests/dataplane/downstream/test_aiohttp_internals.py.
"""

import asyncio
import socket
import struct
from time import perf_counter
from typing import cast

from aiohttp import web
from aiohttp.base_protocol import BaseProtocol

from hubgate.dataplane.downstream.services import ConnectionServer, Stream
from hubgate.dataplane.downstream.state import (
    BUSY,
    IDLE,
    SERVING,
    TARGET_HOLDS,
    DownstreamState,
    Hold,
    Origin,
)
from hubgate.errors import HubgateError, RequestTimeoutError
from hubgate.http1.reader import RequestReader
from hubgate.routing.table import RouteEntry
from hubgate.transport.allocator import discard_read_buffer
from hubgate.transport.arrivals import address_of
from hubgate.transport.bounded_reads import READ_AT_ONCE, READ_OF_GREEDY, FirstRead, bound_reads
from hubgate.transport.flow import WRITE_BUFFER, has_unread, peer_has_closed
from hubgate.transport.turns import TURN

# A client that is still sending when its response is complete gets this long, in seconds, to read
# it before the connection is cut (nginx: lingering_timeout).
LINGER = 5.0
# The same for one that a drain or an upgrade closes, which only waits for what was on its way.
_PARTING = 1.0
# While draining, a connection is idle when nothing has come for so many seconds: its client's next
# request is not likely to be under way, and would be lost.
_LAST_REQUEST = 1.0
# A client that does not read the end of its response gets this long from one byte to the next
# (nginx: send_timeout).
SEND_TIMEOUT = 60.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_FOREVER = float("inf")


class DownstreamConnection(web.RequestHandler):
    """One client's connection: reads its requests and serves them one after another.

    `closing` is set when the next response's head will say that it is the last: if the head of the
    current one has gone out, one more request is served, because a close that was not announced
    could meet a request on its way. `deadline`, in the loop's seconds, is when the plane's sweep
    calls `expire`; `idle_since` is when the last response ended; `server` keeps the connection.
    `origin` and `forwarded_*` are what the forwarding rules remember about it.
    """

    __slots__ = (
        "_advancing",
        "_clock",
        "_greedy",
        "_head_begun",
        "_hold",
        "_plane",
        "_reader",
        "_stream",
        "_unsent",
        "closing",
        "deadline",
        "forwarded_host",
        "forwarded_lines",
        "idle_since",
        "origin",
        "peer",
        "secure",
        "server",
        "state",
        "writable",
    )

    transport: asyncio.Transport

    def __init__(self, server: "ConnectionServer[DownstreamConnection]") -> None:
        # Not RequestHandler's: it would build a second parser, a logger and a queue.
        BaseProtocol.__init__(self, server.loop)
        self._task_handler = None
        self.server = server
        self._plane = server.plane
        self._reader = RequestReader(server.plane.limits, server.plane.header_blocks)
        self._stream: Stream | None = None
        self._hold = Hold.NONE
        self._advancing = False
        self._head_begun = False
        self._unsent = 0
        # Whether its client has sent more than could be done at once.
        self._greedy = False
        self.state = IDLE
        self.closing = False
        # False while the write buffer is over its high mark.
        self.writable = True
        self._clock = server.loop.time
        self.idle_since = self._clock()
        self.deadline = self.idle_since + server.plane.timeouts.keep_alive
        self.peer = ""
        self.secure = False
        self.origin: Origin | None = None
        self.forwarded_host: bytes | None = None
        self.forwarded_lines: list[bytes] | None = None

    def __repr__(self) -> str:
        return f"<DownstreamConnection {self.peer or 'unix'} {self.state.value}>"

    @property
    def spare(self) -> bool:
        """Whether it may be closed to make room for another: nothing would be lost by it."""
        if self.transport.get_write_buffer_size() or self.transport.is_closing():
            return False
        if self.state is DownstreamState.LINGERING:
            return True
        return self.state is IDLE and not self._plane.turns.waits(self._advance)

    # --- asyncio.Protocol ----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not BaseProtocol's: event loops have set TCP_NODELAY already.
        self.transport = cast(asyncio.Transport, transport)
        self.peer = address_of(transport)
        self.secure = transport.get_extra_info("sslcontext") is not None
        self.transport.set_write_buffer_limits(WRITE_BUFFER if self.secure else 0)
        if self.secure:
            discard_read_buffer(transport)
        else:  # the loop does not read yet
            self.transport.set_protocol(FirstRead(self, self.transport))
        self.server.connection_made(self, self.transport)
        if (error := self._plane.admission.enter(self.peer, self)) is not None:
            self._reader.fail(error)
            self._advance()

    def connection_lost(self, exc: BaseException | None) -> None:
        if self.state is DownstreamState.DETACHED:
            # Over TLS, loops choose which protocol to notify a turn earlier, before the tunnel.
            cast(BaseProtocol, self.transport.get_protocol()).connection_lost(exc)
            return
        self.state = DownstreamState.CLOSED
        self.server.connection_lost(self, exc)
        self._plane.admission.leave(self.peer)
        self._reader.close()
        if (stream := self._stream) is not None:
            self._stream = None
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
        else:
            self._advance()

    def data_received(self, data: bytes) -> None:
        if self.state is IDLE or self.state is BUSY:
            if self._greedy:
                self._reader.store(data)
                self.hold(Hold.PIPELINE)
                self._take_turns()
                return
            self._reader.feed(data)
            self._advance()
            if len(data) > READ_AT_ONCE and self.state in SERVING:
                bound_reads(self.transport, self)

    # --- requests ------------------------------------------------------------------------

    def _advance(self) -> None:
        """Hand what was read to the streams, one request after another, without recursion.

        A client that does not read its responses gets no more of them.
        """
        if self._advancing:
            return
        self._advancing = True
        reader, turn = self._reader, 0.0
        requests = reader.requests
        while True:
            if self._stream is not None and requests:
                self._stream.on_request_data()
            while self._stream is None and requests and self.writable and self.state in SERVING:
                self.state = BUSY
                self._head_begun = False
                self._stream = self._plane.open_stream(self, requests[0])
                self._stream.start()
            if not reader.unread or not self._wants_more():
                break
            turn = turn or perf_counter() + TURN
            if perf_counter() > turn:
                self._take_turns()
                break
            reader.read_on()
        self._advancing = False
        if reader.unread or (requests and (len(requests) > 1 or requests[0].leftover)):
            if self.state in SERVING:
                self.hold(Hold.PIPELINE)
        elif self._hold:
            self.unhold(Hold.PIPELINE)
        self._limit_time()

    def _wants_more(self) -> bool:
        """Whether to read on: not before the current request is complete and answered."""
        if self._stream is None:
            return self.writable and self.state in SERVING
        requests = self._reader.requests
        return not (self._hold & TARGET_HOLDS) and bool(requests) and not requests[0].ended

    @property
    def leftover(self) -> bytes:
        """What the client has sent behind the current request, which asks for an upgrade."""
        reader = self._reader
        while reader.unread:
            reader.read_on()
        return reader.requests[0].leftover

    @property
    def reads(self) -> bool:
        """Whether nothing keeps us from reading."""
        return not self._hold

    def _take_turns(self) -> None:
        """Go on when every other connection has been served."""
        if not self._greedy:
            self._greedy = True
            bound_reads(self.transport, self, READ_OF_GREEDY)
        self._plane.turns.wait(self._advance)

    def _limit_time(self) -> None:
        """Set the deadline for what the client has begun to send: a head, or a body."""
        if self.state is BUSY:
            if self._hold or not self._reader.requests[0].ended:
                self.deadline = self.server.loop.time() + self._plane.timeouts.body
            else:
                self.deadline = _FOREVER
        elif self._reader.in_head and not self._head_begun:
            self._head_begun = True
            self.deadline = self.server.loop.time() + self._plane.timeouts.head

    def done(self, keep: bool) -> None:
        """The current request is answered; go on with the next one if `keep`, else close."""
        self._stream = None
        if self.state is not BUSY:
            return
        reader = self._reader
        request = reader.requests.popleft()
        if not keep or (reader.failed and not reader.requests):
            # Whoever asked to go on may have sent more, and would lose its response to a reset.
            more = reader.requests or reader.unread or (request.head and request.head.keep_alive)
            self._end(linger=not request.ended or reader.failed or bool(more) or self.closing)
            return
        if self._hold:
            # Checked first, because Python takes half a microsecond for each operation on flags.
            self.unhold(Hold.CONNECTING | Hold.UPSTREAM)
        self.state = IDLE
        self.idle_since = self._clock()
        self.deadline = self.idle_since + self._plane.timeouts.keep_alive
        if reader.requests or reader.unread or reader.in_head:
            self._advance()
        elif self._greedy:
            self._greedy = False

    def hold(self, reason: Hold) -> None:
        """Stop reading from the client for one more reason."""
        if not self._hold and self.state is not DownstreamState.CLOSED:
            self.transport.pause_reading()
        self._hold |= reason

    def unhold(self, reason: Hold) -> None:
        """Drop a reason; reading resumes when none is left."""
        if self._hold & reason:
            self._hold &= ~reason
            if self._reader.unread:
                self._take_turns()
            elif not self._hold and self.state is not DownstreamState.CLOSED:
                self.transport.resume_reading()

    # --- ending --------------------------------------------------------------------------

    def detach(self) -> asyncio.Transport:
        """Hand the transport over to a tunnel, which is still counted as a connection."""
        self.state = DownstreamState.DETACHED
        self.server.connection_lost(self, None)
        self._stream = None
        self._reader.close()
        if self._hold:
            self.transport.resume_reading()
        return self.transport

    def break_off(self) -> None:
        """End in the middle of a response that shows it: a reset could overtake earlier ones."""
        if self.state is BUSY:
            self._stream = None
            self._reader.requests.popleft()
            self._end(linger=True)

    def abort(self) -> None:
        """Break the connection so that the client cannot take its response for a whole one."""
        if self.state in (DownstreamState.CLOSED, DownstreamState.DETACHED):
            return
        raw = self.transport.get_extra_info("socket")
        if self._stream is None and not self.transport.get_write_buffer_size():
            raw = None  # it was answered: a reset could overtake the answer
        if raw is not None and raw.family != socket.AF_UNIX:
            # A reset, not an end: a body that ends with the connection would look complete.
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()

    def finish_up(self) -> None:
        """Close if idle for a moment, else after the next response (draining)."""
        self.closing = True
        now = self._clock()
        if self.state is DownstreamState.LINGERING:
            if now >= self.deadline:
                self.expire()
        elif (
            self.state is DownstreamState.IDLE
            and now >= self.idle_since + _LAST_REQUEST
            and not self._reader.in_head
            and not self._reader.unread
            and not has_unread(self.transport)
        ):
            self._end(linger=False)

    @property
    def unfinished(self) -> bool:
        """Whether a request is arriving, being served, or its response not all sent yet."""
        if self.state is DownstreamState.LINGERING:
            return bool(self.transport.get_write_buffer_size())
        if self._stream is not None:
            return True
        return self.state is IDLE and (self._reader.in_head or bool(self._reader.unread))

    def cut_off(self, error: HubgateError) -> RouteEntry | None:
        """End now: answer with `error` what has no response yet; return the request's route."""
        self.closing = True
        if self._stream is not None:
            return self._stream.cut_off(error)
        if self.state is DownstreamState.IDLE:
            if self._reader.in_head:
                self._reader.fail(error)
                self._advance()
            else:
                self._end(linger=False)
        return None

    def expire(self) -> None:
        """The deadline has passed: answer what is half sent, close what is idle or lingering."""
        if self.state is DownstreamState.BUSY and (self._hold or self._reader.requests[0].ended):
            # We are the ones not reading: the client gets its time again, if it is still there.
            self.deadline = self.server.loop.time() + self._plane.timeouts.body
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
        self._reader.forget_unread()
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
        patience = SEND_TIMEOUT if self._unsent else _PARTING if self.closing else LINGER
        self.deadline = self.server.loop.time() + patience
