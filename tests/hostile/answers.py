"""Responses as a strict client reads them: anything doubtful is an error."""

import re
from dataclasses import dataclass

from tests.hostile.canonical import NotCanonical, read_chunks

_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9][0-9][0-9]) [\t\x20-\x7e\x80-\xff]*")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_BODILESS = (204, 304)


@dataclass(frozen=True)
class Answer:
    """A response; `ended_by_close` when only the connection's end delimited its body."""

    status: int
    fields: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    ended_by_close: bool = False

    def all(self, name: bytes) -> list[bytes]:
        """Return every value of `name`, given in lower case."""
        return [value for key, value in self.fields if key == name]

    @property
    def says_close(self) -> bool:
        """True when the answer announces the connection's end."""
        return b"close" in b",".join(self.all(b"connection")).lower()

    @property
    def record(self) -> int | None:
        """The number that the recording target gave to the request it answered."""
        values = self.all(b"x-record")
        return int(values[0]) if len(values) == 1 else None


def read_answer(data: bytes, ended: bool, bodiless: bool) -> tuple[Answer, bytes] | None:
    """Return the answer that `data` begins with, and the rest; None if more has to come.

    `ended`: nothing more will come. `bodiless`: it answers a HEAD. Raises NotCanonical.
    """
    head, mark, rest = data.partition(b"\r\n\r\n")
    if not mark:
        if data and not b"HTTP/1.".startswith(data[:7]):
            raise NotCanonical(f"the answer begins with {data[:60]!r}")
        return None
    answer = _read_head(head)
    if bodiless or answer.status in _BODILESS or answer.status < 200:
        return answer, rest
    body = _read_body(answer, rest, ended)
    if body is None:
        return None
    content, rest, by_close = body
    return Answer(answer.status, answer.fields, content, by_close), rest


def _read_head(head: bytes) -> Answer:
    first, *lines = head.split(b"\r\n")
    status = _STATUS.fullmatch(first)
    if status is None:
        raise NotCanonical(f"status line {first[:80]!r}")
    fields = []
    for line in lines:
        if not (match := _FIELD.fullmatch(line)):
            raise NotCanonical(f"field line {line[:80]!r}")
        fields.append((match[1].lower(), match[2].rstrip(b" \t")))
    answer = Answer(int(status[1]), tuple(fields))
    lengths, codings = answer.all(b"content-length"), answer.all(b"transfer-encoding")
    if len(lengths) + len(codings) > 1:
        raise NotCanonical(f"framed twice: lengths {lengths}, codings {codings}")
    if lengths and not re.fullmatch(rb"[0-9]{1,18}", lengths[0]):
        raise NotCanonical(f"length {lengths[0]!r}")
    if codings and codings != [b"chunked"]:
        raise NotCanonical(f"coding {codings[0]!r}")
    if codings and first.startswith(b"HTTP/1.0"):
        raise NotCanonical("chunked in HTTP/1.0")
    if answer.status < 200 and (lengths or codings):
        raise NotCanonical(f"{answer.status} with a framed body")
    return answer


def _read_body(answer: Answer, data: bytes, ended: bool) -> tuple[bytes, bytes, bool] | None:
    if answer.all(b"transfer-encoding"):
        chunks = read_chunks(data)
        return None if chunks is None else (*chunks, False)
    if lengths := answer.all(b"content-length"):
        size = int(lengths[0])
        return None if len(data) < size else (data[:size], data[size:], False)
    return (data, b"", True) if ended else None
