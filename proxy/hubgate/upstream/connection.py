"""The client side of HTTP/1.1: one connection to a target, one request at a time."""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from time import perf_counter
from typing import Protocol, cast

from hubgate.errors import (
    BadResponseError,
    StaleConnectionError,
    UpstreamClosedError,
    UpstreamError,
)
from hubgate.http1.message import UNTIL_CLOSE, Bytes
from hubgate.http1.response import ResponseHead
from hubgate.http1.response_reader import HEAD_LIMIT, ResponseReader
from hubgate.http1.slices import SMALLEST, next_slice
from hubgate.http1.unread import Unread
from hubgate.routing.target import Peer
from hubgate.transport.allocator import discard_read_buffer
from hubgate.transport.bounded_reads import READ_AT_ONCE, bound_reads
from hubgate.transport.flow import WRITE_BUFFER, pause_reading, resume_reading
from hubgate.transport.turns import TURN, Turns

# From this size on, a body is not copied out of the bytes it came in. A larger head is forgotten
# when its response has ended: thousands of idle connections may each have one.
_LARGE = 1 << 12
_REST_AT_ONCE = 1 << 16


class UpstreamState(Enum):
    """IDLE → BUSY → IDLE … → CLOSED, or BUSY → DETACHED when a tunnel takes the transport."""

    IDLE = "idle"
    BUSY = "busy"
    DETACHED = "detached"
    CLOSED = "closed"


# Python 3.11 looks up an Enum member in a dictionary every time: too slow for each request.
IDLE, _BUSY = UpstreamState.IDLE, UpstreamState.BUSY
_OPEN = (IDLE, _BUSY)


class Receiver(Protocol):
    """What receives a response: every method is called from the event loop, none may block."""

    def on_informational(self, head: ResponseHead) -> None:
        """A 1xx response other than 101 arrived; the final one is still to come."""

    def on_response(self, head: ResponseHead | None, body: Bytes, ended: bool) -> None:
        """A part arrived: the head comes once, first; `ended` comes once, last."""

    def on_switched(self, head: ResponseHead, leftover: bytes) -> None:
        """101: the bytes after the head belong to the new protocol."""

    def on_upstream_lost(self, error: UpstreamError) -> None:
        """The connection failed before the response ended; nothing more will come."""

    def on_upstream_writable(self, writable: bool) -> None:
        """The connection's write buffer passed its high (False) or low (True) mark."""


class UpstreamConnection(Unread, asyncio.Protocol):
    """Sends one request after another to a peer and hands each response to its Receiver.

    `served` counts requests begun on it; `reusable` is whether another request may follow once
    the response has ended; `home` is the pool that opened it.
    """

    __slots__ = (
        "_bodiless",
        "_got_bytes",
        "_head",
        "_held",
        "_known",
        "_left",
        "_on_idle_lost",
        "_reader",
        "_receiver",
        "_slice",
        "_slow",
        "_turns",
        "expires",
        "home",
        "idle_since",
        "peer",
        "reusable",
        "served",
        "state",
        "transport",
    )

    def __init__(
        self, peer: Peer, on_idle_lost: "Callable[[UpstreamConnection], None]", turns: Turns
    ) -> None:
        super().__init__()
        self.peer = peer
        self._on_idle_lost = on_idle_lost
        self.state = UpstreamState.IDLE
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.served = 0
        self.reusable = False
        self.idle_since = 0.0
        self.home: object = None
        self.expires = float("inf")
        self._receiver: Receiver | None = None
        self._reader: ResponseReader | None = None
        # The last head that the target sent: most are the same again and again.
        self._known: ResponseHead | None = None
        self._head: ResponseHead | None = None
        self._bodiless = False
        self._got_bytes = False
        self._left = 0
        self._turns = turns
        # How much llhttp is given at once.
        self._slice = SMALLEST
        # Why nothing is read from the target: some is unread, or the receiver takes no more.
        self._held = False
        self._slow = False

    def __repr__(self) -> str:
        return f"<UpstreamConnection {self.peer} {self.state.value}>"

    # --- commands ------------------------------------------------------------------------

    def begin(self, receiver: Receiver, head: bytes, bodiless: bool, body: Bytes = b"") -> None:
        """Send a request's first bytes; `bodiless` means its response has no body (HEAD)."""
        self._head = None
        self._got_bytes = False
        self._left = 0
        self._receiver = receiver
        self._bodiless = bodiless
        self.state = _BUSY
        self.served += 1
        if not body:
            self.transport.write(head)
        else:
            self.transport.writelines((head, body))

    def release(self) -> None:
        """Forget the receiver after its response ended; the connection may be used again."""
        self._receiver = self._head = None
        self.state = IDLE

    def detach(self) -> asyncio.Transport:
        """Hand the transport over to a tunnel; this object is finished."""
        self._receiver = None
        self._close_reader()
        if not self.reads:
            resume_reading(self.transport)
        self.state = UpstreamState.DETACHED
        return self.transport

    def abort(self) -> None:
        """Close at once; the receiver is not called again."""
        self._receiver = None
        self._close_reader()
        if self.state is not UpstreamState.CLOSED:
            self.state = UpstreamState.CLOSED
            if self.transport is not None:
                self.transport.abort()

    @property
    def reads(self) -> bool:
        """Whether nothing keeps us from reading."""
        return not (self._held or self._slow)

    def pause(self) -> None:
        """Read nothing more from the target until `resume`: its receiver takes no more."""
        self._slow = True
        pause_reading(self.transport)

    def resume(self) -> None:
        """Go on after `pause`."""
        self._slow = False
        if self.unread:
            self._held = True
            self._read_on()
        elif self.state in _OPEN:
            self._held = False
            resume_reading(self.transport)

    # --- asyncio.Protocol ----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if self.peer.tls:
            self.transport.set_write_buffer_limits(WRITE_BUFFER)
            discard_read_buffer(transport)
        else:
            self.transport.set_write_buffer_limits(0)

    def connection_lost(self, exc: Exception | None) -> None:
        before = self.state
        if isinstance(exc, OSError) and self._receiver is not None and not self.peer.tls:
            self._read_rest()
        while self.unread and self._receiver is not None:
            self._step(self._receiver)
        if self.state is not before and self.state is UpstreamState.DETACHED:
            # A 101 was read; its tunnel must be notified of the end.
            cast(asyncio.Protocol, self.transport.get_protocol()).connection_lost(exc)
            return
        receiver, self._receiver = self._receiver, None
        self._close_reader()
        was_idle, self.state = self.state is UpstreamState.IDLE, UpstreamState.CLOSED
        if receiver is None:
            if was_idle:
                self._on_idle_lost(self)
            return
        if self._head is not None and self._head.body is UNTIL_CLOSE and exc is None:
            receiver.on_response(None, b"", True)
        elif self.served > 1 and not self._got_bytes:
            receiver.on_upstream_lost(
                StaleConnectionError(f"{self.peer} closed an idle connection")
            )
        else:
            receiver.on_upstream_lost(
                UpstreamClosedError(f"{self.peer} closed the connection before its response ended")
            )

    def _read_rest(self) -> None:
        """Read what the kernel has: a target may respond (413), and then take no more of a body.

        Writing to it then fails, and the loop stops reading, before that response has been read.
        """
        fd = self.transport.get_extra_info("socket").fileno()
        with suppress(OSError):
            while self._receiver is not None and (data := os.read(fd, _REST_AT_ONCE)):
                self.data_received(data)

    def eof_received(self) -> None:
        # Closing would first wait for the target to read what is still to be sent.
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        receiver = self._receiver
        if receiver is None:
            # Unsolicited: whatever this is, no later request may get it as its response.
            self.abort()
            return
        if not self._got_bytes:
            self._got_bytes = True
            if self._bodiless or not self._receive_canonical(receiver, data):
                if self._reader is None:
                    self._reader = ResponseReader()
                self._reader.begin(self._bodiless)
                self._read(receiver, data)
        elif self.unread:
            self.store(data)
        elif self._left:
            self._receive_rest(receiver, data)
        elif self._head is not None and self._head.body is UNTIL_CLOSE:
            receiver.on_response(None, data, False)
        else:
            self._read(receiver, data)
        if len(data) > READ_AT_ONCE and self.state is _BUSY:
            bound_reads(self.transport, self)

    def data_lent(self, data: memoryview) -> bool:
        """`data_received`, without a copy of what only has to be passed on."""
        receiver = self._receiver
        if receiver is not None and self._got_bytes and not self.unread:
            if self._left:
                self._receive_rest(receiver, data)
                return True
            if self._head is not None and self._head.body is UNTIL_CLOSE:
                receiver.on_response(None, data, False)
                return True
        self.data_received(bytes(data))
        return False

    def pause_writing(self) -> None:
        if self._receiver is not None:
            self._receiver.on_upstream_writable(False)

    def resume_writing(self) -> None:
        if self._receiver is not None:
            self._receiver.on_upstream_writable(True)

    # --- receiving -----------------------------------------------------------------------

    def _receive_canonical(self, receiver: Receiver, data: bytes) -> bool:
        """Read a response without llhttp if its whole head is there and can go out as it came."""
        head = self._known
        if head is None or not data.startswith(head.raw):
            size = data.find(b"\r\n\r\n", 0, HEAD_LIMIT) + 4
            head = ResponseHead.canonical(data[:size])
            if head is None:
                return False
            if size <= _LARGE:
                self._known = head
        size = len(head.raw)
        left = head.length - len(data) + size
        if left < 0:
            return False
        self._head = head
        self._left = left
        self.reusable = True
        body = data[size:] if len(data) < _LARGE else memoryview(data)[size:]
        receiver.on_response(head, body, not left)
        return True

    def _receive_rest(self, receiver: Receiver, data: Bytes) -> None:
        """Pass on a body of known length without parsing it: only counting is left to do."""
        if len(data) > self._left:
            data = data[: self._left]
            self.reusable = False
        self._left -= len(data)
        receiver.on_response(None, data, self._left == 0)

    def _read(self, receiver: Receiver, data: bytes) -> None:
        """Read what came as the first after all that was read."""
        if len(data) <= self._slice:
            self._parse(receiver, data)
        else:
            self.unread = data
            self._read_on()

    def _read_on(self) -> None:
        """Read what has arrived: for one turn at most, and no more than the receiver takes."""
        receiver, end = self._receiver, 0.0
        while self.unread and not self._slow and receiver and receiver is self._receiver:
            now = perf_counter()
            end = end or now + TURN
            if now > end:
                self._take_turns()
                return
            self._step(receiver)
        if self._held and not self.unread and not self._slow and self.state in _OPEN:
            self._held = False
            resume_reading(self.transport)

    def _take_turns(self) -> None:
        """Go on when every other connection has been served."""
        if not self._held:
            self._held = True
            pause_reading(self.transport)
        self._turns.wait(self._read_on)

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _step(self, receiver: Receiver) -> None:
        """Read one slice, or what needs no parsing at all."""
        if self._left:
            self._receive_rest(receiver, self._next(len(self.unread)))
        elif self._head is not None and self._head.body is UNTIL_CLOSE:
            receiver.on_response(None, self._next(len(self.unread)), False)
        else:
            self._parse(receiver, self._next(self._at + self._slice))

    def _parse(self, receiver: Receiver, data: bytes) -> None:
        reader = cast(ResponseReader, self._reader)
        try:
            reader.feed(data)
        except ValueError as error:
            self._fail(receiver, error)
            return
        if len(data) >= SMALLEST:
            self._slice = next_slice(self._slice, len(data), reader.made)
        self._pass_on(receiver, reader)

    def _pass_on(self, receiver: Receiver, reader: ResponseReader) -> None:
        """Hand over what the reader made of the last slice."""
        if reader.interim:
            interim, reader.interim = reader.interim, []
            for each in interim:
                receiver.on_informational(each)
        head, new = reader.head, self._head is None
        if head is None or self._receiver is not receiver:
            return
        self._head = head
        if reader.switched is not None:
            leftover = reader.switched + self._next(len(self.unread))
            receiver.on_switched(head, leftover)
            return
        body, ended = reader.take(), reader.ended
        # What follows the response's end belongs to no request.
        self.reusable = reader.reusable and not (ended and self.unread)
        if ended:
            reader.head = None
            self.forget_unread()
        elif reader.counted:
            self._left = head.length - len(body)
        if body or ended or new:
            receiver.on_response(head if new else None, body, ended)

    def _fail(self, receiver: Receiver, error: Exception) -> None:
        self.abort()
        receiver.on_upstream_lost(BadResponseError(f"{self.peer} sent a bad response: {error}"))
