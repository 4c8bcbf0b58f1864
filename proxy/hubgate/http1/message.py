"""What requests and responses share: how a body is delimited, and how header lines are spelled."""

import re
from collections.abc import Iterable
from enum import Enum
from http import HTTPStatus

RawHeaders = list[tuple[bytes, bytes]]
Bytes = bytes | memoryview

# In a signed 64-bit integer, a longer one would be negative.
LONGEST_BODY = (1 << 63) - 1

# The two parts of a header line spelled as we would write it: visible ASCII, one space after the
# colon and none at the end of the line.
CANONICAL_NAME = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
CANONICAL_VALUE = rb": [!-~][\t -~]*+(?<![\t ])"

# Header fields of a single connection, not of the message (RFC 9110, section 7.6.1), and Trailer,
# because trailers are not forwarded.
HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)

# Methods that may be sent twice (RFC 9110, section 9.2.2): its own but TRACE, which is refused, and
# the safe ones among others in IANA's registry of methods. The registry also calls MKCOL or MOVE
# idempotent, but the second one fails where the first one worked: nobody gains by it.
IDEMPOTENT = frozenset(
    (
        b"DELETE",
        b"GET",
        b"HEAD",
        b"OPTIONS",
        b"PROPFIND",
        b"PUT",
        b"QUERY",
        b"REPORT",
        b"SEARCH",
    )
)

# Seconds after which a client may try again what we could not do.
_RETRY_AFTER = 1
# Of what may be forwarded, which is every method but two, those that most clients know.
_ALLOWED = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}


class Body(Enum):
    """How a message's body is delimited (RFC 9112, section 6.3)."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    UNTIL_CLOSE = "until close"


# Python 3.11 looks up an Enum member in a dictionary every time: too slow for each message.
NO_BODY, OF_LENGTH, CHUNKED, UNTIL_CLOSE = Body


def any_name(names: Iterable[bytes]) -> bytes:
    """Return a regular expression that matches each of these names, spelled in any case.

    `names` are in lower case. First letters stand apart: most other names differ in theirs.
    """
    ordered = sorted(names)
    letters = b"".join(sorted({each for name in ordered for each in (name[:1], name[:1].upper())}))
    return b"[%b](?i:%b)" % (letters, b"|".join(re.escape(name[1:]) for name in ordered))


def lines_for(status: int) -> list[bytes]:
    """Return the header lines that a response of our own needs because of its status."""
    if status == 503:
        return [b"Retry-After: %d" % _RETRY_AFTER]
    return [b"Allow: " + _ALLOWED] if status == 405 else []  # RFC 9110, section 15.5.6


def split_lines(lines: Iterable[bytes]) -> RawHeaders:
    """Return header lines that have one space after each colon as (name, value)."""
    return [(name, value) for name, _, value in (line.partition(b": ") for line in lines)]


def chunk(data: Bytes, last: bool) -> bytes:
    """Return `data` in chunked framing (RFC 9112, section 7.1), with the body's end if `last`."""
    framed = b"".join((b"%x\r\n" % len(data), data, b"\r\n")) if data else b""
    return framed + b"0\r\n\r\n" if last else framed
