"""From a target's bytes to one response: parsing, without a socket."""

import httptools

from hubgate.http1.message import NO_BODY, OF_LENGTH, UNTIL_CLOSE, RawHeaders
from hubgate.http1.response import ResponseHead, printable, stays_open, without_framing

# A response's head may not grow beyond this, in bytes. (Node: 16 KiB.)
HEAD_LIMIT = 1 << 18
# One response may be preceded by this many interim ones. A target that is asked to keep its client
# informed (102, every few seconds) has minutes for it.
_MOST_INTERIM = 100
# Blank lines before a response are skipped, as llhttp and CHP do, up to so many bytes of them: some
# targets end a body with a line end that its length does not include.
_MOST_BLANK = 64


class ResponseReader:
    """Feeds the bytes of one response after another to llhttp.

    `head` is the final one, once it is complete, `interim` holds what came before it; `ended` is
    whether the response is complete, `reusable` whether another one may follow, and `switched` is
    None or, after a 101, the bytes behind it. `counted` is whether what is left of the body only
    needs counting.
    """

    __slots__ = (
        "_blank",
        "_bodiless",
        "_chunks",
        "_head_size",
        "_headers",
        "_interim",
        "_overhead",
        "_parser",
        "_reason",
        "_tail",
        "counted",
        "ended",
        "head",
        "interim",
        "reusable",
        "switched",
    )

    def __init__(self) -> None:
        self._parser: httptools.HttpResponseParser | None = None
        self.begin(bodiless=False)

    def __repr__(self) -> str:
        return f"<ResponseReader {self.head} {'ended' if self.ended else 'open'}>"

    def begin(self, bodiless: bool) -> None:
        """Read the next response; `bodiless`: it has no body, because it is for a HEAD."""
        self._bodiless = bodiless
        self._head_size = self._overhead = self._interim = self._blank = 0
        self._headers: RawHeaders = []
        self._reason = self._tail = b""
        self._chunks: list[bytes] = []
        self.head: ResponseHead | None = None
        self.interim: list[ResponseHead] = []
        self.ended = self.reusable = self.counted = False
        self.switched: bytes | None = None

    def close(self) -> None:
        """Drop the parser: it refers to this reader, which would wait for the garbage collector."""
        self._parser = None

    @property
    def made(self) -> int:
        """How many header lines, interim heads and pieces of a body have not been taken yet."""
        return len(self._headers) + len(self._chunks) + len(self.interim)

    def take(self) -> bytes:
        """Return what has arrived of the body since the last call."""
        chunks, self._chunks = self._chunks, []
        return b"".join(chunks) if len(chunks) > 1 else chunks[0] if chunks else b""

    def feed(self, data: bytes) -> None:
        """Read the next bytes.

        Raises ValueError for a response that is not HTTP/1.1, or larger than it may be.
        """
        had_head = self.head is not None
        if not had_head and not self._head_size and data[:1] != b"H":
            data = self._without_blank_lines(data)
            if not data:
                return
            if data[:1] != b"H":
                # llhttp would read RTSP and ICE as well, without reporting it.
                raise ValueError("no HTTP status line")
        parser = self._parser
        if parser is None:
            parser = self._parser = httptools.HttpResponseParser(self)
        self._overhead += len(data)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._switch(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError as error:
            self.reusable = False
            self._parser = None
            if not self.ended:
                # What a callback below has raised says more.
                raise ValueError(str(error.__context__ or error)) from error
        self._check(data, had_head)

    def _without_blank_lines(self, data: bytes) -> bytes:
        rest = data.lstrip(b"\r\n")
        self._blank += len(data) - len(rest)
        if self._blank > _MOST_BLANK:
            raise ValueError(f"over {_MOST_BLANK} bytes of blank lines")
        return rest

    def _check(self, data: bytes, had_head: bool) -> None:
        if self._bodiless and not had_head:
            self._look_behind(data)
        if self.head is None:
            self._head_size += len(data)
        if max(self._head_size, self._overhead) > HEAD_LIMIT and not self.ended:
            raise ValueError(f"over {HEAD_LIMIT} bytes of head, chunk framing or trailers")
        if self.head is not None and not self.ended and self.head.body is OF_LENGTH:
            # The next response gets a new parser.
            self.counted = True
            self._parser = None

    def _look_behind(self, data: bytes) -> None:
        """Stop reusing a connection if the response to a HEAD is even a byte more than a head.

        What llhttp took for the beginning of a body would become the next request's response.
        """
        seen = self._tail + data
        self._tail = seen[-3:]
        if self.head is not None and seen.find(b"\r\n\r\n") + 4 != len(seen):
            self.reusable = False

    def _switch(self, leftover: bytes) -> None:
        self._parser = None
        if self.head is None:
            raise ValueError("an upgrade without a head")
        self.switched = leftover

    # --- httptools callbacks ---------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self.ended:
            # A second response to one request: ignore it and never use the connection again.
            self.reusable = False

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        # Trailers arrive here too, after the head is complete: they are dropped.
        if self.head is None:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self.ended or (parser := self._parser) is None:
            return
        status = parser.get_status_code()
        if status < 100 or parser.get_http_version() not in ("1.1", "1.0"):
            raise ValueError("a status line that is not HTTP/1.1")
        self._overhead = 0
        head = ResponseHead(status, printable(self._reason), self._headers)
        self._headers, self._reason = [], b""
        if status < 200 and status != 101:
            self._add_interim(head)
            return
        if status == 101 and not parser.should_upgrade():
            raise ValueError("a 101 that does not name a protocol")
        head.delimit(self._bodiless)
        # RFC 9112, section 9.3: a connection persists unless the message says otherwise.
        self.reusable = parser.should_keep_alive() and head.body is not UNTIL_CLOSE
        self.head = head
        if head.body is NO_BODY:
            self.ended = True
        if self._bodiless:
            # llhttp does not know about HEAD and would wait for the body that the headers announce.
            self.reusable = stays_open(parser, head)
            self._parser = None
        if head.announced and status in (204, 304):
            # It may send that body after all, while another request waits for its response. A 304
            # may have a length (RFC 9110, section 8.6), but hardly a server gives it one.
            self.reusable = False

    def _add_interim(self, head: ResponseHead) -> None:
        head.headers = without_framing(head.headers)
        self._head_size = 0
        self._interim += 1
        if self._interim > _MOST_INTERIM:
            raise ValueError(f"over {_MOST_INTERIM} interim responses")
        self.interim.append(head)

    def on_body(self, data: bytes) -> None:
        if self.ended:
            self.reusable = False
        elif self.head is None:
            raise ValueError("an interim response with a body")
        else:
            self._chunks.append(data)
            self._overhead = 0

    def on_message_complete(self) -> None:
        if self.head is not None:
            self.ended = True
            if self._parser is not None and not self._parser.should_keep_alive():
                # A trailer said so: llhttp would refuse whatever comes next.
                self.reusable = False
