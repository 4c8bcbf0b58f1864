"""Requests read from bytes, in pieces of any size."""

import itertools
from typing import NamedTuple

from hubgate.http1.message import Body
from hubgate.http1.reader import RequestReader
from hubgate.model import Limits

GET = b"GET /a%40b?c HTTP/1.1\r\nHost: hub\r\nAccept: */*\r\nX-Empty:\r\n\r\n"
BAD = b"GET /bad HTTP/1.1\r\nHost : hub\r\n\r\n"


class Read(NamedTuple):
    """What can be seen of one request."""

    line: str
    fields: list[bytes]
    framing: Body | None
    body: bytes
    ended: bool
    leftover: bytes
    status: int


def feed(*pieces: bytes, limits: Limits | None = None) -> RequestReader:
    reader = RequestReader(limits or Limits())
    for piece in pieces:
        take_in(reader, piece)
    return reader


def take_in(reader: RequestReader, piece: bytes) -> None:
    """Feed a piece and read all of it, as if every request were answered at once."""
    reader.feed(piece)
    while reader.unread:
        reader.read_on()


def read(*pieces: bytes, limits: Limits | None = None) -> list[Read]:
    """Return the requests that come out when `pieces` are fed one after the other."""
    return [
        Read(
            repr(request.head),
            request.head.lines if request.head else [],
            request.head.body if request.head else None,
            request.take(),
            request.ended,
            request.leftover,
            request.error.status if request.error else 0,
        )
        for request in feed(*pieces, limits=limits).requests
    ]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Return `data` in pieces, cut at `places`."""
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]
