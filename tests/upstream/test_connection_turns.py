"""A target that sends much in small pieces: it waits for its turns, and nothing of it is lost."""

import random
from collections.abc import Callable

import pytest

from hubgate.http1.message import Bytes
from hubgate.http1.response import ResponseHead
from hubgate.http1.slices import SMALLEST
from hubgate.routing.target import Peer
from hubgate.transport.turns import Turns
from hubgate.upstream.connection import UpstreamConnection
from tests.dataplane.wire import chunked
from tests.nowhere import Nowhere
from tests.turns import AtOnce
from tests.upstream.receiver import Recorder

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
TINY = b"1\r\nx\r\n" * 20_000


class Later(Turns):
    """Keeps who waits until it is told to go on."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def wait(self, go_on: Callable[[], None]) -> None:
        self.waiting.append(go_on)

    def go_on(self) -> None:
        """Let all who wait have a turn."""
        waiting, self.waiting = self.waiting, []
        for each in waiting:
            each()


def begun(turns: Turns) -> tuple[UpstreamConnection, Nowhere, Recorder]:
    connection, transport, recorder = (
        UpstreamConnection(Peer("h", 1), lambda lost: None, turns),
        Nowhere(),
        Recorder(),
    )
    connection.connection_made(transport)
    connection.begin(recorder, b"", False)
    return connection, transport, recorder


def test_tiny_chunks_are_read_in_many_turns() -> None:
    turns = Later()
    connection, transport, recorder = begun(turns)
    connection.data_received(HEAD + TINY + b"0\r\n\r\n")
    taken = 0
    while turns.waiting:
        assert not transport.reading
        assert len(turns.waiting) == 1
        turns.go_on()
        taken += 1
    assert taken >= 3
    assert transport.reading
    assert recorder.body == b"x" * 20_000
    assert recorder.ended
    assert connection.reusable


@pytest.mark.parametrize("ended", [True, False])
def test_what_waits_is_read_when_the_target_is_gone(ended: bool) -> None:
    connection, _, recorder = begun(Later())
    connection.data_received(HEAD + TINY + (b"0\r\n\r\n" if ended else b""))
    assert not recorder.ended
    connection.connection_lost(None)
    assert recorder.body == b"x" * 20_000
    assert recorder.ended is ended


def test_a_receiver_that_takes_no_more_is_not_given_more() -> None:
    turns = Later()
    connection, transport, recorder = begun(turns)
    connection.data_received(HEAD + TINY + b"0\r\n\r\n")
    connection.pause()
    got = len(recorder.body)
    turns.go_on()
    assert len(recorder.body) == got
    assert not transport.reading
    connection.resume()
    while turns.waiting:
        turns.go_on()
    assert recorder.ended
    assert transport.reading


class Hesitant(Recorder):
    """Takes no more once a response has begun."""

    def __init__(self, connection: UpstreamConnection) -> None:
        super().__init__()
        self.connection = connection

    def on_response(self, head: ResponseHead | None, body: Bytes, ended: bool) -> None:
        super().on_response(head, bytes(body), ended)
        if head is not None:
            self.connection.pause()


@pytest.mark.parametrize("field", [b"content-length: 40000", b"connection: close"])
def test_what_is_lent_comes_after_what_waits(field: bytes) -> None:
    """Neither a counted body nor one that lasts until the end overtakes itself."""
    connection = UpstreamConnection(Peer("h", 1), lambda lost: None, Later())
    connection.connection_made(Nowhere())
    recorder = Hesitant(connection)
    connection.begin(recorder, b"", False)
    body = random.Random(11).randbytes(40_000)
    connection.data_received(b"HTTP/1.1 200 OK\r\n")  # what comes in parts, llhttp reads
    connection.data_received(field + b"\r\n\r\n" + body[:30_000])
    assert connection.unread
    assert len(recorder.body) < 30_000

    assert connection.data_lent(memoryview(bytearray(body[30_000:]))) is False
    connection.resume()
    assert recorder.body == body


def test_what_follows_a_response_behind_a_slice_spoils_the_connection() -> None:
    sizes = (size for size in range(SMALLEST) if len(HEAD + chunked(bytes(size))) == SMALLEST)
    body = bytes(next(sizes))
    whole = HEAD + chunked(body)
    connection, _, recorder = begun(AtOnce())
    connection.data_received(whole + b"HTTP/1.1 200 OK\r\n\r\n")
    assert recorder.body == body
    assert recorder.ended
    assert not connection.reusable
