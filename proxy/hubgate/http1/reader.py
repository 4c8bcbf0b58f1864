"""From a client's bytes to requests: parsing, without a socket."""

from collections import deque
from typing import cast

import httptools

from hubgate.errors import (
    BadRequestError,
    BodyTooLargeError,
    HeadTooLargeError,
    HubgateError,
    MethodNotAllowedError,
    UriTooLongError,
    VersionNotSupportedError,
)
from hubgate.http1.fast_path import FAST_PATH_LIMIT, HeaderBlock, HeaderBlocks, read_line
from hubgate.http1.message import NO_BODY, OF_LENGTH, Bytes, RawHeaders
from hubgate.http1.request import RequestHead, other_protocol, read_head, unchecked_head
from hubgate.http1.slices import SMALLEST, end_of_body, end_of_head, next_slice
from hubgate.http1.unread import Unread
from hubgate.model import Limits

# llhttp also accepts RTSP and ICE, and does not report which protocol it has read. How much of
# what is fed at once is searched for their names, in bytes.
_PROTOCOL_WITHIN = 8192


class IncomingRequest:
    """A request as it arrives.

    `head` is None if it was malformed: `error` then says how. An `error` together with a head
    means that the body is bad or the method not allowed. `leftover` holds bytes of the protocol
    an upgrade asks for. `block` holds the header lines it was read from, if they may come again;
    `opening` is the last head written from it. A reader returns the same object for the same
    bytes, but never to another connection.
    """

    __slots__ = ("block", "chunks", "ended", "error", "head", "leftover", "opening")

    def __init__(self, head: RequestHead | None, error: HubgateError | None = None) -> None:
        self.head = head
        self.error = error
        self.block: HeaderBlock | None = None
        self.opening: tuple[object, object, bytes] | None = None
        self.chunks: list[Bytes] = []
        self.ended = error is not None
        self.leftover = b""

    def take(self) -> Bytes:
        """Return the body bytes received since the last call."""
        chunks, self.chunks = self.chunks, []
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


class RequestReader(Unread):
    """Feeds bytes to llhttp and queues what comes out in `requests`, oldest first.

    Reads one step at a time: `feed` takes the first one, unless a whole request is waiting in
    `requests`, and `read_on` each further one; `unread` holds the bytes that have not been looked
    at. A client thus decides neither how much is done for it at once, nor how many requests are
    held for it. After a malformed byte, `failed` is True and everything after it is ignored.
    `in_head` is True when a request has begun to arrive and its head is not complete. `blocks`,
    with the same `limits`, may be shared with other readers.
    """

    __slots__ = (
        "_block",
        "_blocks",
        "_closing",
        "_current",
        "_error",
        "_fed",
        "_head_bytes",
        "_headers",
        "_last",
        "_left",
        "_limits",
        "_overhead",
        "_parser",
        "_received",
        "_slice",
        "_start",
        "_tail",
        "_target",
        "failed",
        "in_head",
        "requests",
    )

    def __init__(self, limits: Limits, blocks: HeaderBlocks | None = None) -> None:
        self.requests: deque[IncomingRequest] = deque()
        super().__init__()
        self._slice = SMALLEST
        self.failed = False
        self.in_head = False
        self._limits = limits
        self._blocks = HeaderBlocks(limits) if blocks is None else blocks
        self._parser: httptools.HttpRequestParser | None = None
        self._current: IncomingRequest | None = None
        self._error: HubgateError | None = None
        self._left = 0
        self._received = 0
        self._overhead = 0
        self._start = self._tail = b""
        self._fed = 0
        # What came last, and what was read from it: the same may come again.
        self._block: HeaderBlock | None = None
        self._last: tuple[bytes, IncomingRequest] | None = None
        self._closing = False
        self._begin_head()

    def feed(self, data: bytes) -> None:
        """Take the next bytes; what the first step completes is in `requests` afterwards."""
        if self.unread:
            self.store(data)
        elif self._current is not None:
            if 0 < len(data) <= self._left:
                self._count_off(data)
                return
            self.unread = data
        elif self.in_head or self._closing or self.failed or self.requests:
            self.unread = data
        elif (request := self._read_canonical(data)) is not None:
            self.requests.append(request)
            return
        else:
            self.unread = data
            self._read_slice(is_canonical=False)
            if not self.unread or self._current is None:
                return
        if self._current is not None or not self.requests:
            self.read_on()

    def read_on(self) -> None:
        """Take one step through `unread`: it completes one request, or a few very small ones.

        A step that reads a head goes on to what is there of the body, or a request with a small
        body, which has arrived as a whole, would look as if more of it were to come.
        """
        was_between = self._current is None
        self._step()
        if was_between and self.unread and self._current is not None:
            self._step()

    def _step(self) -> None:
        current = self._current
        if self.failed:
            self.forget_unread()
        elif current is None:
            if self._closing:
                self.fail(BadRequestError("malformed request: data after Connection: close"))
            else:
                self._read_slice(is_canonical=not self.in_head)
        elif self._left:
            self._count_off(self._next(self._at + self._left))
        elif cast(RequestHead, current.head).upgrade:
            current.leftover += self._next(len(self.unread))
        else:
            self._read_slice(is_canonical=False)

    def _read_slice(self, is_canonical: bool) -> None:
        """Read a slice, or up to the end of a head or of a chunked body if that comes first.

        `is_canonical`: it may be a request that can be read without llhttp.
        """
        most = self._slice
        if self._current is None:
            data = self._next(end_of_head(self.unread, self._at, most, self._tail))
        else:
            data = self._next(end_of_body(self.unread, self._at, most))
        if is_canonical and (request := self._read_canonical(data)) is not None:
            self.requests.append(request)
        else:
            held = self._made
            self._parse(data)
            if len(data) >= SMALLEST:
                self._slice = next_slice(most, len(data), self._made - held)

    @property
    def _made(self) -> int:
        """How many header lines of a head that is arriving, or pieces of a body, are held."""
        return len(self._headers) if self._current is None else len(self._current.chunks)

    def _read_canonical(self, data: bytes) -> IncomingRequest | None:
        """Return the request in `data`, if `data` is one canonical request and nothing else."""
        last = self._last
        if last is not None and last[0] == data:
            return last[1]
        start = data.find(b"\r\n")
        end = data.find(b"\r\n\r\n", start, start + FAST_PATH_LIMIT) + 4
        block, raw = self._block, data[start:end]
        if block is None or raw != block.raw:
            block = self._block = self._blocks.read(raw)
        head = None if block is None else read_line(data[:start], block, self._limits)
        if head is None or len(data) - end > head.length or self._too_large(head.length):
            return None
        self._closing = not head.keep_alive
        request = IncomingRequest(head)
        request.block = block
        if head.length:
            self._begin_body(request, data, end)
        else:
            request.ended = True
            self._last = data, request
        return request

    def _begin_body(self, request: IncomingRequest, data: bytes, start: int) -> None:
        """Take what `data` holds of a body of known length, from `start` on."""
        head = cast(RequestHead, request.head)
        if start < len(data):
            request.chunks.append(memoryview(data)[start:])
        self._left = head.length - len(data) + start
        if self._left:
            self._current = request
        else:
            request.ended = True

    def _begin_head(self) -> None:
        # What is left of this feed may belong to the next head: an upper bound will do.
        self._head_bytes = 0
        self._target = b""
        self._headers: RawHeaders = []

    def _count_off(self, data: bytes) -> None:
        """Take a part of a body of known length without parsing it."""
        current = cast(IncomingRequest, self._current)
        self._left -= len(data)
        current.chunks.append(data)
        if not self._left:
            current.ended = True
            self._current = None

    def _parse(self, data: bytes) -> None:
        """Give `data` to llhttp."""
        parser = self._parser
        if parser is None:
            parser = self._parser = httptools.HttpRequestParser(self)
        self._fed = len(data)
        self._tail = data[-3:] if self._current is None else b""
        self._start = self._start + data if self.in_head else data
        if len(self._start) > _PROTOCOL_WITHIN:
            self._start = self._start[:_PROTOCOL_WITHIN]
        self._head_bytes += len(data)
        self._overhead += len(data)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._parser = None
            self._after_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            reason = other_protocol(self._start) or str(error)
            self.fail(self._error or BadRequestError(f"malformed request: {reason}"))
        else:
            self._after_parse()

    def _after_parse(self) -> None:
        current = self._current
        if current is None:
            if self._head_bytes > self._limits.head + self._limits.request_line:
                self.fail(HeadTooLargeError(f"the head is over {self._limits.head} bytes"))
        elif current.head is not None and current.head.body is OF_LENGTH:
            # The rest of the body only needs counting: the next request gets a new parser.
            self._left = current.head.length - sum(map(len, current.chunks))
            self._parser = None
        elif self._overhead > self._limits.head:
            # Endless chunk extensions or trailers: httptools would hold them all.
            self.fail(
                HeadTooLargeError(f"over {self._limits.head} bytes of chunk framing or trailers")
            )

    def _after_upgrade(self, rest: bytes) -> None:
        """Prepare to go on with `rest`, where llhttp stopped: it ends HTTP at every upgrade."""
        current = self._current
        if rest:
            self.unread, self._at = rest + self.unread[self._at :], 0
        if current is None or current.head is None:
            self._head_bytes = 0
        elif current.head.upgrade:
            current.leftover = self._next(len(self.unread))
        elif current.head.body is OF_LENGTH:
            self._left = current.head.length
        else:
            # A new parser, primed for the same chunked body with a head of our own.
            self._parser = httptools.HttpRequestParser(self)
            self._parser.feed_data(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")

    def fail(self, error: HubgateError) -> None:
        """Give up: the request that is arriving gets `error`, and nothing more is read."""
        self.failed = True
        self.in_head = False
        self.forget_unread()
        # A traceback refers to the frame of this reader that raised it, and so do we to the error.
        error.__traceback__ = None
        self._parser = None
        if self._current is not None:
            self._current.error = error
        else:
            self.requests.append(IncomingRequest(None, error))

    def close(self) -> None:
        """Drop the parser: it refers to this reader, which would wait for the garbage collector."""
        self._parser = None

    # --- httptools callbacks ---------------------------------------------------------------

    def on_message_begin(self) -> None:
        self.in_head = self._current is None

    def on_url(self, url: bytes) -> None:
        if self._current is None:
            self._target += url
            if len(self._target) > self._limits.request_line:
                self._error = UriTooLongError("the request line is too long")
                raise self._error

    def on_header(self, name: bytes, value: bytes) -> None:
        # Trailers arrive here too, after the head is complete: they are dropped.
        if self._current is None:
            self._headers.append((name, value))
            if len(self._headers) > self._limits.headers:
                self._error = HeadTooLargeError(f"more than {self._limits.headers} header lines")
                raise self._error

    def on_headers_complete(self) -> None:
        self.in_head = False
        if self._current is not None or (parser := self._parser) is None:
            return
        try:
            self._check_size()
            self._check_protocol(parser.get_method())
            version = parser.get_http_version()
            head = read_head(parser.get_method(), self._target, version, self._headers)
            self._check_body(head.length)
        except HubgateError as error:
            self._error = error
            if isinstance(error, MethodNotAllowedError | BodyTooLargeError):  # not malformed
                http10 = parser.get_http_version() == "1.0"
                head = unchecked_head(parser.get_method(), self._target, http10, self._headers)
                self._current = IncomingRequest(head, error)
                self.requests.append(self._current)
            raise
        if head.body is not NO_BODY:
            head.upgrade = b""
        self._begin_head()
        self._received = self._overhead = 0
        self._current = IncomingRequest(head)
        self.requests.append(self._current)

    def _check_size(self) -> None:
        # What was fed is an upper bound on the head's size, so most heads need no adding up.
        limit = self._limits.head
        if self._fed + self._head_bytes > limit:
            size = sum(len(name) + len(value) + 4 for name, value in self._headers)
            if size > limit:
                raise HeadTooLargeError(f"the request's headers are over {limit} bytes")

    def _check_protocol(self, method: bytes) -> None:
        """Refuse RTSP and ICE, whose request lines llhttp reads as if they were HTTP."""
        start = self._start
        if b" RTSP/" not in start and b" ICE/" not in start:
            return
        if method + b" " + self._target + b" HTTP/" not in start:
            raise VersionNotSupportedError("the request line is not HTTP")

    def _too_large(self, size: int) -> bool:
        limit = self._limits.body
        return limit is not None and size > limit

    def _check_body(self, size: int) -> None:
        if self._too_large(size):
            raise BodyTooLargeError(f"the request's body is over {self._limits.body} bytes")

    def on_body(self, data: bytes) -> None:
        if self._current is not None:
            self._received += len(data)
            try:
                self._check_body(self._received)
            except HubgateError as error:
                self._error = error
                raise
            self._current.chunks.append(data)
            self._overhead = 0

    def on_message_complete(self) -> None:
        current = self._current
        if current is None or current.head is None or self._parser is None:
            return
        if self._parser.should_upgrade() and (
            current.head.upgrade or current.head.body is not NO_BODY
        ):
            # llhttp reports completion where a tunnel, or the body of an ignored upgrade, begins.
            current.ended = bool(current.head.upgrade)
            return
        current.ended = True
        self._current = None
        # The next request may be read without llhttp, which would refuse it; a trailer may say so.
        self._closing = not (current.head.keep_alive and self._parser.should_keep_alive())
        # The chunks of a body are not part of the next head.
        self._head_bytes = 0
