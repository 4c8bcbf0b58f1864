"""How much the reader takes of a head, and that a body counts for nothing there."""

import random

import pytest

from hubgate.model import Limits
from tests.dataplane.wire import chunked
from tests.http1.reading import GET, cut, feed, read

SMALL = Limits(request_line=200, head=400)


def padded(size: int) -> bytes:
    """Return a request with one header line of `size` bytes."""
    return b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * (size - 5) + b"\r\n\r\n"


def test_a_head_within_the_limits_passes() -> None:
    (request,) = read(padded(380), limits=SMALL)

    assert request.status == 0


@pytest.mark.parametrize("size", [420, 5000, 100000])
def test_a_head_over_the_limit_is_431(size: int) -> None:
    (request,) = read(padded(size), limits=SMALL)
    assert request.status == 431

    (request,) = read(*cut(padded(size), list(range(0, size, 50))), limits=SMALL)
    assert request.status == 431


def test_many_small_headers_over_the_limit_are_431() -> None:
    head = b"GET / HTTP/1.1\r\nHost: h\r\n" + b"a: b\r\n" * 100 + b"\r\n"

    assert read(head, limits=SMALL)[0].status == 431


@pytest.mark.parametrize("size", [201, 5000, 100000])
def test_a_request_line_over_the_limit_is_414(size: int) -> None:
    head = b"GET /" + b"a" * size + b" HTTP/1.1\r\nHost: h\r\n\r\n"

    assert read(head, limits=SMALL)[0].status == 414
    assert read(*cut(head, list(range(0, size, 50))), limits=SMALL)[0].status == 414


@pytest.mark.parametrize("piece", [b"x", b"GET", b"GET /a HTTP/1.1\r\nHost: h\r\nX: ", b"\r\n"])
def test_a_head_that_never_ends_is_not_kept(piece: bytes) -> None:
    reader = feed(piece, limits=SMALL)
    for _ in range(2000):
        reader.feed(b"\r\n" if piece == b"\r\n" else b"x")

    assert reader.failed
    assert reader.requests[0].error is not None


def test_the_default_limits_take_what_hubs_and_browsers_send() -> None:
    cookies = b"Cookie: " + b"c" * 40000
    head = b"GET /" + b"a" * 40000 + b" HTTP/1.1\r\nHost: h\r\n" + cookies + b"\r\n\r\n"

    assert read(head)[0].status == 0
    assert read(*cut(head, list(range(0, 80000, 1000))))[0].status == 0


def test_a_large_body_has_nothing_to_do_with_the_limit_of_a_head() -> None:
    data = random.Random(3).randbytes(1 << 20)
    pieces = [data[place : place + 5000] for place in range(0, len(data), 5000)]
    stream = (
        b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(*pieces) + GET
    )

    for parts in (
        [stream],
        cut(stream, list(range(0, len(stream), 3000))),
        cut(stream, [*range(0, len(stream), 3000), len(stream) - len(GET)]),
    ):
        upload, following = read(*parts)
        assert upload.status == following.status == 0
        assert upload.ended
        assert upload.body == data


def test_after_a_large_chunked_body_the_next_head_has_its_whole_limit() -> None:
    upload = b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(
        b"x" * 100000
    )
    stream = upload + padded(380)

    for parts in ([stream], cut(stream, list(range(0, len(stream), 50)))):
        assert [request.status for request in read(*parts, limits=SMALL)] == [0, 0]
