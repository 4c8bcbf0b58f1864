"""The one form in which a request may reach a target: no reader can take it for anything else.

Written from RFC 9112 and on purpose without any of the proxy's own code, as a second opinion.
"""

import re
from dataclasses import dataclass

_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) (/[\x21-\x7e\x80-\xff]*) HTTP/1\.1")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?((?:[\t\x20-\x7e\x80-\xff]*)?)")
_SINGLE = (b"host", b"content-length", b"transfer-encoding")


class NotCanonical(Exception):
    """The bytes can be read in more than one way, or in none."""


@dataclass(frozen=True)
class Request:
    """A request as it stood on the wire; field names in lower case, values without outer blanks."""

    line: bytes
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes = b""

    @property
    def method(self) -> bytes:
        """GET, POST, ..."""
        return self.line.split(b" ")[0]

    @property
    def path(self) -> bytes:
        """The request target."""
        return self.line.split(b" ")[1]

    def get(self, name: bytes) -> bytes | None:
        """Return the value of `name`, several ones joined by a comma, or None."""
        values = [value for key, value in self.fields if key == name]
        return b", ".join(values) if values else None


def read_head(data: bytes) -> tuple[Request, bytes] | None:
    """Return the request whose head `data` begins with, and the rest; None if it is incomplete.

    Raises NotCanonical.
    """
    head, mark, rest = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    complete = lines if mark else lines[:-1]
    for line in complete:
        if re.search(rb"[\r\n\0]", line):
            raise NotCanonical(f"a bare CR, LF or NUL in {line[:80]!r}")
    if complete and not _LINE.fullmatch(complete[0]):
        raise NotCanonical(f"request line {complete[0][:80]!r}")
    fields = []
    for line in complete[1:]:
        if not (match := _FIELD.fullmatch(line)):
            raise NotCanonical(f"field line {line[:80]!r}")
        fields.append((match[1].lower(), match[2].strip(b" \t")))
    if not mark:
        return None
    request = Request(lines[0], tuple(fields))
    _check_framing(request)
    return request, rest


def _check_framing(request: Request) -> None:
    names = [name for name, _ in request.fields]
    for single in _SINGLE:
        if names.count(single) > 1:
            raise NotCanonical(f"{single.decode()} more than once")
    if b"host" not in names:
        raise NotCanonical("no host")
    length, coding = request.get(b"content-length"), request.get(b"transfer-encoding")
    if length is not None and coding is not None:
        raise NotCanonical("a length beside a transfer coding")
    if length is not None and not re.fullmatch(rb"0*[0-9]{1,18}", length):
        raise NotCanonical(f"content-length {length[:40]!r}")
    if coding is not None and coding.lower() != b"chunked":
        raise NotCanonical(f"transfer-encoding {coding[:40]!r}")


def read_body(request: Request, data: bytes) -> tuple[bytes, bytes] | None:
    """Return the body that follows `request`'s head and the rest; None if it is incomplete.

    Raises NotCanonical.
    """
    if request.get(b"transfer-encoding"):
        return read_chunks(data)
    length = int(request.get(b"content-length") or 0)
    return None if len(data) < length else (data[:length], data[length:])


def read_chunks(data: bytes) -> tuple[bytes, bytes] | None:
    """Read a chunked body without extensions or trailers; None if it is incomplete.

    Raises NotCanonical.
    """
    body = b""
    while True:
        line, mark, rest = data.partition(b"\r\n")
        if not mark:
            if not re.fullmatch(rb"[0-9a-fA-F]{0,16}\r?", line):
                raise NotCanonical(f"chunk size {line[:40]!r}")
            return None
        if not re.fullmatch(rb"0|[1-9a-fA-F][0-9a-fA-F]{0,15}", line):
            raise NotCanonical(f"chunk size {line[:40]!r}")
        size = int(line, 16)
        end, data = rest[size : size + 2], rest[size + 2 :]
        if not b"\r\n".startswith(end):
            raise NotCanonical(f"{end!r} behind a chunk")
        if len(end) < 2:
            return None
        if size == 0:
            return body, data
        body += rest[:size]
