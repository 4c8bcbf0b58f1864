"""A response's head: its status, its headers, how its body is delimited."""

import re

import httptools

from hubgate.http1.message import (
    CANONICAL_NAME,
    CANONICAL_VALUE,
    CHUNKED,
    HOP_BY_HOP,
    LONGEST_BODY,
    NO_BODY,
    OF_LENGTH,
    UNTIL_CLOSE,
    RawHeaders,
    any_name,
    split_lines,
)

_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")

# A whole head of such lines, with a plain length and nothing that belongs to a single connection.
_REWRITTEN = any_name({*HOP_BY_HOP, b"content-length"})
_LINE = rb"\r\n(?!" + _REWRITTEN + rb":)" + CANONICAL_NAME + CANONICAL_VALUE
_CANONICAL = re.compile(
    rb"HTTP/1\.1 ([2-5][0-9][0-9]) ([!-~][ -~]*+(?<! ))(?:" + _LINE + rb")*"
    rb"\r\n[Cc]ontent-[Ll]ength: ([0-9]{1,18})(?:" + _LINE + rb")*\r\n\r\n"
)
_BODILESS = (204, 304)


class ResponseHead:
    """Status line and headers of a response; `length` is meaningful for OF_LENGTH only.

    `announced` is True if the headers promise a body, whether or not the status allows one.
    `raw` is the whole head with its blank line if it can go out as it came, else empty.
    """

    __slots__ = ("_headers", "announced", "body", "length", "raw", "reason", "status")

    def __init__(self, status: int, reason: bytes, headers: RawHeaders) -> None:
        self.status = status
        self.reason = reason
        self._headers: RawHeaders | None = headers
        self.body = UNTIL_CLOSE
        self.length = 0
        self.announced = False
        self.raw = b""

    @classmethod
    def canonical(cls, raw: bytes) -> "ResponseHead | None":
        """Read a whole head that can go out as it came; return None for any other, valid or not.

        llhttp reads the same from it; most heads are spelled like this, and one match costs a
        fraction of a callback for each header.
        """
        match = _CANONICAL.fullmatch(raw)
        if match is None:
            return None
        code, reason, digits = match.groups()
        status, length = int(code), int(digits)
        if status in _BODILESS:
            return None
        head = cls.__new__(cls)
        head.status = status
        head.reason = reason
        head._headers = None
        head.raw = raw
        head.length = length
        head.body = OF_LENGTH if length else NO_BODY
        head.announced = length > 0
        return head

    @property
    def headers(self) -> RawHeaders:
        """The header lines, as (name, value)."""
        if self._headers is None:
            lines = self.raw[:-4].split(b"\r\n")[1:]
            self._headers = split_lines(lines)
        return self._headers

    @headers.setter
    def headers(self, headers: RawHeaders) -> None:
        self._headers = headers

    def delimit(self, bodiless: bool) -> None:
        """Find out how the body is delimited; raises ValueError where parsers would disagree.

        `bodiless`: this is the response to a HEAD.
        """
        for name, value in self.headers:
            lower = name.lower()
            if lower == b"transfer-encoding":
                if value.strip().lower() != b"chunked" or self.body is CHUNKED:
                    raise ValueError("a transfer coding other than a single 'chunked'")
                self.body = CHUNKED
            elif lower == b"content-length" and self.body is not CHUNKED:
                self.body = OF_LENGTH
                self.length = int(value)
                if self.length > LONGEST_BODY:
                    raise ValueError("a body length that is far too large")
        self.announced = self.body is CHUNKED or self.length > 0
        if (
            bodiless
            or self.status in (101, 204, 304)
            or (self.body is OF_LENGTH and self.length == 0)
        ):
            self.body = NO_BODY


def stays_open(parser: httptools.HttpResponseParser, head: ResponseHead) -> bool:
    """Return what llhttp's keep-alive rule would, had it known that there is no body."""
    tokens = b",".join(v for n, v in head.headers if n.lower() == b"connection").lower()
    if parser.get_http_version() == "1.1":
        return b"close" not in tokens
    return b"keep-alive" in tokens


def printable(reason: bytes) -> bytes:
    """Return a reason phrase, or nothing if it contains control bytes."""
    return b"" if _CONTROL.search(reason) else reason


def without_framing(headers: RawHeaders) -> RawHeaders:
    """Drop a length from a 1xx, which has no body (RFC 9110, section 8.6).

    Raises ValueError if it announces one.
    """
    kept = []
    for name, value in headers:
        lower = name.lower()
        if lower == b"transfer-encoding" or (lower == b"content-length" and value.strip(b" 0\t")):
            raise ValueError("an interim response with a body")
        if lower != b"content-length":
            kept.append((name, value))
    return kept
