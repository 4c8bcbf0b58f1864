"""The client side of HTTP/1.1: one connection to a target, one request at a time."""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from typing import Protocol, cast

import httptools

from hubgate.errors import (
    BadResponseError,
    StaleConnectionError,
    UpstreamClosedError,
    UpstreamError,
)
from hubgate.http1.message import NO_BODY, OF_LENGTH, UNTIL_CLOSE, Bytes, RawHeaders
from hubgate.http1.response import ResponseHead, printable, stays_open, without_framing
from hubgate.routing.target import Peer
from hubgate.transport.allocator import discard_read_buffer
from hubgate.transport.flow import WRITE_BUFFER

# A response's head may not grow beyond this, in bytes. (Node: 16 KiB.)
_HEAD_LIMIT = 1 << 18
# From this size on, a body is not copied out of the bytes it came in.
_LARGE = 1 << 12
_READ_AT_ONCE = 1 << 16


class UpstreamState(Enum):
    """IDLE → BUSY → IDLE … → CLOSED, or BUSY → DETACHED when a tunnel takes the transport."""

    IDLE = "idle"
    BUSY = "busy"
    DETACHED = "detached"
    CLOSED = "closed"


# Python 3.11 looks up an Enum member in a dictionary every time: too slow for each request.
IDLE, _BUSY = UpstreamState.IDLE, UpstreamState.BUSY


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


class UpstreamConnection(asyncio.Protocol):
    """Sends one request after another to a peer and hands each response to its Receiver.

    `served` counts requests begun on it; `reusable` is whether another request may follow once
    the response has ended; `home` is the pool that opened it.
    """

    __slots__ = (
        "_bodiless",
        "_chunks",
        "_ended",
        "_got_bytes",
        "_head",
        "_head_size",
        "_headers",
        "_known",
        "_left",
        "_on_idle_lost",
        "_overhead",
        "_parser",
        "_reason",
        "_receiver",
        "_tail",
        "expires",
        "home",
        "idle_since",
        "peer",
        "reusable",
        "served",
        "state",
        "transport",
    )

    def __init__(self, peer: Peer, on_idle_lost: "Callable[[UpstreamConnection], None]") -> None:
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
        self._parser: httptools.HttpResponseParser | None = None
        # The last head that the target sent: most are the same again and again.
        self._known: ResponseHead | None = None
        self._head: ResponseHead | None = None
        self._ended = False
        self._bodiless = False
        self._got_bytes = False
        self._left = 0
        self._begin_parsing()

    def __repr__(self) -> str:
        return f"<UpstreamConnection {self.peer} {self.state.value}>"

    def _begin_parsing(self) -> None:
        self._head_size = 0
        self._headers: RawHeaders = []
        self._reason = b""
        self._chunks: list[bytes] = []
        self._overhead = 0
        self._tail = b""

    # --- commands ------------------------------------------------------------------------

    def begin(self, receiver: Receiver, head: bytes, bodiless: bool, body: Bytes = b"") -> None:
        """Send a request's first bytes; `bodiless` means its response has no body (HEAD)."""
        self._head = None
        self._ended = self._got_bytes = False
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
        self._receiver = None
        self.state = IDLE

    def detach(self) -> asyncio.Transport:
        """Hand the transport over to a tunnel; this object is finished."""
        self._receiver = self._parser = None
        self.state = UpstreamState.DETACHED
        return self.transport

    def abort(self) -> None:
        """Close at once; the receiver is not called again."""
        # The parser refers to us: without it, nothing has to wait for the garbage collector.
        self._receiver = self._parser = None
        if self.state is not UpstreamState.CLOSED:
            self.state = UpstreamState.CLOSED
            if self.transport is not None:
                self.transport.abort()

    # --- asyncio.Protocol ----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if self.peer.tls:
            self.transport.set_write_buffer_limits(WRITE_BUFFER)
            discard_read_buffer(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if isinstance(exc, OSError) and self._receiver is not None and not self.peer.tls:
            self._read_rest()
            if self.state is UpstreamState.DETACHED:
                # A 101 was read; its tunnel must be notified of the end.
                cast(asyncio.Protocol, self.transport.get_protocol()).connection_lost(exc)
                return
        receiver, self._receiver = self._receiver, None
        self._parser = None
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
            while self._receiver is not None and (data := os.read(fd, _READ_AT_ONCE)):
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
                self._begin_parsing()
                self._parse(receiver, data)
        elif self._left:
            self._receive_rest(receiver, data)
        elif self._head is not None and self._head.body is UNTIL_CLOSE:
            receiver.on_response(None, data, False)
        else:
            self._parse(receiver, data)

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
            head = ResponseHead.canonical(data[: data.find(b"\r\n\r\n", 0, _HEAD_LIMIT) + 4])
            if head is None:
                return False
            self._known = head
        size = len(head.raw)
        left = head.length - len(data) + size
        if left < 0:
            return False
        self._head = head
        self._left = left
        self._ended = not left
        self.reusable = True
        body = data[size:] if len(data) < _LARGE else memoryview(data)[size:]
        receiver.on_response(head, body, not left)
        return True

    def _receive_rest(self, receiver: Receiver, data: bytes) -> None:
        """Pass on a body of known length without parsing it: only counting is left to do."""
        if len(data) > self._left:
            data = data[: self._left]
            self.reusable = False
        self._left -= len(data)
        receiver.on_response(None, data, self._left == 0)

    def _parse(self, receiver: Receiver, data: bytes) -> None:
        parser = self._parser
        if parser is None:
            parser = self._parser = httptools.HttpResponseParser(self)
        had_head = self._head is not None
        self._overhead += len(data)
        try:
            if not had_head and not self._head_size and data[:1] != b"H":
                # llhttp would read RTSP and ICE as well, without reporting it.
                raise httptools.HttpParserError("no HTTP status line")
            parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._switch(receiver, data[upgrade.args[0] :])
            return
        except httptools.HttpParserError as error:
            self.reusable = False
            self._parser = None
            if not self._ended:
                self._fail(receiver, error)
                return
        if self._bodiless and not had_head:
            self._look_behind(data)
        if self._head is None:
            self._head_size += len(data)
        if max(self._head_size, self._overhead) > _HEAD_LIMIT and not self._ended:
            self._fail(
                receiver, ValueError(f"over {_HEAD_LIMIT} bytes of head, chunk framing or trailers")
            )
        elif self._head is not None and self._receiver is receiver:
            self._pass_on(receiver, self._head, new=not had_head)

    def _look_behind(self, data: bytes) -> None:
        """Stop reusing a connection if the response to a HEAD is even a byte more than a head.

        What llhttp took for the beginning of a body would become the next request's response.
        """
        seen = self._tail + data
        self._tail = seen[-3:]
        if self._head is not None and seen.find(b"\r\n\r\n") + 4 != len(seen):
            self.reusable = False

    def _pass_on(self, receiver: Receiver, head: ResponseHead, *, new: bool) -> None:
        chunks = self._chunks
        body = b"".join(chunks) if len(chunks) > 1 else chunks[0] if chunks else b""
        self._chunks = []
        ended = self._ended
        if not ended and head.body is OF_LENGTH:
            # The rest only needs counting: the next response gets a new parser.
            self._left = head.length - len(body)
            self._parser = None
        if body or ended or new:
            receiver.on_response(head if new else None, body, ended)

    def _fail(self, receiver: Receiver, error: Exception) -> None:
        self.abort()
        receiver.on_upstream_lost(BadResponseError(f"{self.peer} sent a bad response: {error}"))

    def _switch(self, receiver: Receiver, leftover: bytes) -> None:
        head, self._parser = self._head, None
        if head is None:
            self._fail(receiver, ValueError("an upgrade without a head"))
        else:
            receiver.on_switched(head, leftover)

    # --- httptools callbacks ---------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._ended:
            # A second response to one request: ignore it and never use the connection again.
            self.reusable = False

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        # Trailers arrive here too, after the head is complete: they are dropped.
        if self._head is None:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._ended or (parser := self._parser) is None:
            return
        status = parser.get_status_code()
        if status < 100 or parser.get_http_version() not in ("1.1", "1.0"):
            raise ValueError("a status line that is not HTTP/1.1")
        self._overhead = 0
        head = ResponseHead(status, printable(self._reason), self._headers)
        if status < 200 and status != 101:
            head.headers = without_framing(head.headers)
            self._headers, self._reason, self._head_size = [], b"", 0
            if self._receiver is not None:
                self._receiver.on_informational(head)
            return
        if status == 101 and not parser.should_upgrade():
            raise ValueError("a 101 that does not name a protocol")
        head.delimit(self._bodiless)
        # RFC 9112, section 9.3: a connection persists unless the message says otherwise.
        self.reusable = parser.should_keep_alive() and head.body is not UNTIL_CLOSE
        if head.announced and (status == 204 or (status == 304 and not head.length)):
            # It may send that body after all, while another request waits for its response.
            self.reusable = False
        self._head = head
        if head.body is NO_BODY:
            self._ended = True
        if self._bodiless:
            # llhttp does not know about HEAD and would wait for the body that the headers announce.
            self.reusable = stays_open(parser, head)
            self._parser = None

    def on_body(self, data: bytes) -> None:
        if self._ended:
            self.reusable = False
        elif self._head is None:
            raise ValueError("an interim response with a body")
        else:
            self._chunks.append(data)
            self._overhead = 0

    def on_message_complete(self) -> None:
        if self._head is not None:
            self._ended = True
            if self._parser is not None and not self._parser.should_keep_alive():
                # A trailer said so: llhttp would refuse whatever comes next.
                self.reusable = False
