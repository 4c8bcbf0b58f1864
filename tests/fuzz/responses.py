"""A target's bytes: what its client gets of them, and what the next one gets."""

from hubgate.errors import UpstreamError
from hubgate.http1.response import ResponseHead
from hubgate.routing.target import Peer
from hubgate.upstream.connection import UpstreamConnection
from tests.nowhere import Nowhere
from tests.turns import AtOnce


class Receiver:
    """Notes the parts of a response and holds them to their order."""

    def __init__(self) -> None:
        self.head: ResponseHead | None = None
        self.body = b""
        self.over = False

    def on_informational(self, head: ResponseHead) -> None:
        assert not self.over
        assert self.head is None
        assert 100 <= head.status < 200

    def on_response(self, head: ResponseHead | None, body: bytes, ended: bool) -> None:
        assert not self.over
        assert (head is None) == (self.head is not None)
        self.head = self.head or head
        self.body += body
        self.over = ended

    def on_switched(self, head: ResponseHead, leftover: bytes) -> None:
        assert not self.over
        self.over = True

    def on_upstream_lost(self, error: UpstreamError) -> None:
        assert not self.over
        self.over = True

    def on_upstream_writable(self, writable: bool) -> None:
        raise AssertionError("nothing was written")


def response(data: bytes) -> None:
    """Responses arrive in order, end once, and do not depend on cuts."""
    bodiless, data = data[:1] == b"H", data[1:]
    results = []
    for size in (max(1, len(data)), 13):
        connection, receiver = connect(), Receiver()
        connection.begin(receiver, b"", bodiless)
        for start in range(0, len(data), size):
            connection.data_received(data[start : start + size])
            if receiver.over:
                break
        status = receiver.head.status if receiver.head else 0
        results.append((status, receiver.body if status else b"", receiver.over))
        if receiver.over:
            connection.abort()  # as whoever has all it asked for does, if not with release()
        connection.connection_lost(None)
    if results[0][0] and results[1][0]:
        assert results[0][0] == results[1][0]


def connect() -> UpstreamConnection:
    """Return a connection to a target that says nothing by itself."""
    connection = UpstreamConnection(Peer("h", 1), lambda _: None, AtOnce())
    connection.connection_made(Nowhere())
    return connection


def receive(connection: UpstreamConnection, data: bytes, bodiless: bool) -> tuple[object, ...]:
    """Return what becomes of one request that is answered by `data`."""
    receiver = Receiver()
    connection.begin(receiver, b"", bodiless)
    if data:
        connection.data_received(data)
    head = receiver.head
    if head is None:
        return (receiver.over,)
    return (head.status, tuple(head.headers), head.body, receiver.body, receiver.over)


def reuse(data: bytes) -> None:
    """What comes behind a response's end is no part of it, and of no other one either."""
    bodiless, data = data[:1] == b"H", data[1:513]
    connection, receiver = connect(), Receiver()
    connection.begin(receiver, b"", bodiless)
    size = 0
    while size < len(data) and not receiver.over:
        connection.data_received(data[size : size + 1])
        size += 1
    if not receiver.over or receiver.head is None or not connection.reusable:
        return
    rest = data[size:]
    # llhttp skips empty lines in front of a status line: they are no answer to anything.
    if rest.strip(b"\r\n"):
        together = connect()
        receive(together, data, bodiless)
        assert not together.reusable, "bytes that nobody asked for came with the response"
    connection.release()
    assert receive(connection, rest, bodiless) == receive(connect(), rest, bodiless)
    connection.abort()
