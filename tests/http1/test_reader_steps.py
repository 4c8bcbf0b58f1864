"""A reader takes one step at a time, however much has arrived."""

import pytest

from hubgate.http1.message import Body
from hubgate.http1.reader import RequestReader
from hubgate.http1.slices import SMALLEST, next_slice
from hubgate.model import Limits
from tests.http1.reading import BAD, GET

CANONICAL = b"GET /x HTTP/1.1\r\nHost: hub\r\n\r\n"
CHUNKED = b"POST /c HTTP/1.1\r\nHost: hub\r\nTransfer-Encoding: chunked\r\n\r\n"
LENGTH = b"POST /l HTTP/1.1\r\nHost: hub\r\nContent-Length: %d\r\n\r\n"
WEBSOCKET = b"GET /w HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def fed(data: bytes) -> RequestReader:
    reader = RequestReader(Limits())
    reader.feed(data)
    return reader


@pytest.mark.parametrize(
    "message",
    [GET, CANONICAL, CHUNKED + b"2\r\nab\r\n0\r\n\r\n", LENGTH % 5 + b"hello"],
    ids=["llhttp", "canonical", "chunked", "length"],
)
def test_one_request_is_read_and_the_others_wait(message: bytes) -> None:
    reader = fed(message * 1000)
    for waiting in range(999, 0, -1):
        assert len(reader.requests) == 1
        assert reader.requests[0].ended
        assert len(reader.unread) - reader._at == waiting * len(message)
        reader.requests.popleft()
        reader.read_on()
    assert reader.requests.popleft().ended
    assert not reader.unread


def test_what_comes_meanwhile_is_not_looked_at() -> None:
    reader = fed(GET)
    reader.feed(BAD)
    reader.feed(GET)
    assert [request.error for request in reader.requests] == [None]
    assert reader.unread == BAD + GET
    assert not reader.failed

    reader.requests.popleft()
    reader.read_on()
    assert reader.failed
    assert [request.error is None for request in reader.requests] == [False]
    assert not reader.unread


def test_a_request_comes_with_its_small_body() -> None:
    reader = fed(CHUNKED + b"5\r\nhello\r\n0\r\n\r\n" + GET)
    (request,) = reader.requests
    assert (bytes(request.take()), request.ended) == (b"hello", True)


@pytest.mark.parametrize("piece", [b"1\r\na\r\n", b"1;x=y\r\na\r\n"])
def test_a_step_through_tiny_chunks_is_short(piece: bytes) -> None:
    reader = fed(CHUNKED + piece * 20000)
    (request,) = reader.requests
    assert request.head is not None
    assert request.head.body is Body.CHUNKED
    steps = 0
    while reader.unread:
        assert len(request.chunks) <= SMALLEST // len(piece) + 1
        request.take()
        reader.read_on()
        steps += 1
    assert steps > 20000 * len(piece) // SMALLEST - 2


def test_a_step_through_large_chunks_is_long() -> None:
    reader = fed(CHUNKED + (b"10000\r\n" + b"x" * 65536 + b"\r\n") * 2)
    steps = 0
    while reader.unread:
        reader.read_on()
        steps += 1
    assert steps < 2 * 65536 // SMALLEST // 2


def test_slices_shrink_where_much_comes_of_them_and_grow_again() -> None:
    assert next_slice(SMALLEST, SMALLEST, 1000) == SMALLEST
    assert next_slice(SMALLEST, 100, 1) == SMALLEST
    larger = next_slice(SMALLEST, SMALLEST, 1)
    assert larger > SMALLEST
    assert next_slice(larger, larger, 1) == larger
    assert next_slice(larger, larger, 1000) == SMALLEST


@pytest.mark.parametrize("early", [b"", b"\x81\x05hello", b"x" * 100_000])
def test_what_follows_an_upgrade_is_not_for_http(early: bytes) -> None:
    reader = fed(WEBSOCKET + early)
    (request,) = reader.requests
    assert request.leftover == early
    reader.feed(GET)
    assert request.leftover == early + GET
    assert list(reader.requests) == [request]


def test_blank_lines_in_a_body_do_not_make_steps_short() -> None:
    reader = fed(CHUNKED + b"10000\r\n" + b"\r\n" * 32768 + b"\r\n")
    steps = 0
    while reader.unread:
        reader.read_on()
        steps += 1
    assert steps < 65536 // 256


@pytest.mark.parametrize("early", [1, 2, 3])
def test_a_blank_line_may_be_cut(early: int) -> None:
    filler = b"X-Filler: " + b"x" * (SMALLEST - len(GET) - 12 + early) + b"\r\n"
    first = GET[:-2] + filler + b"\r\n"
    assert len(first) == SMALLEST + early
    reader = fed(first + BAD)
    while not reader.requests:
        reader.read_on()
    (request,) = reader.requests
    assert request.error is None
    assert reader.unread[reader._at :] == BAD


def test_other_protocols_are_refused_behind_a_chunked_body() -> None:
    rtsp = b"GET /rtsp RTSP/1.0\r\nHost: hub\r\n\r\n"
    body = b"5\r\nhello\r\n0\r\nTrailer: x\r\n\r\n"
    reader = fed(CHUNKED + body + rtsp)
    while reader.unread:
        reader.read_on()
    assert [each.error and each.error.status for each in reader.requests] == [None, 505]


def test_nothing_follows_the_last_request() -> None:
    reader = fed(GET.replace(b"Host", b"Connection: close\r\nHost") + GET)
    reader.read_on()
    assert [request.error is None for request in reader.requests] == [True, False]
