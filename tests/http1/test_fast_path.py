"""A head that is read without llhttp says what it would have said with it."""

import itertools
from collections.abc import Callable, Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hubgate.http1.fast_path import _USUAL, HeaderBlock, HeaderBlocks, read_line
from hubgate.http1.reader import IncomingRequest, RequestReader
from hubgate.http1.request import SPECIAL, RequestHead
from hubgate.model import Limits
from tests.hostile.corpus import TOPICS
from tests.http1.reading import take_in

LIMITS = Limits()
PLAIN = (
    b"GET /user/alice/lab?reset HTTP/1.1\r\nHost: hub:8000\r\nAccept: */*\r\nCookie: a=b\r\n\r\n",
    b"HEAD / HTTP/1.1\r\nUser-Agent: x\r\nHost: hub\r\nConnection: keep-alive\r\n\r\n",
    b"DELETE /a%20b HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n",
    b"GET /a/../b/./c HTTP/1.1\r\nHost: hub\r\nX-Forwarded-For: 192.0.2.1\r\nTE: trailers\r\n\r\n",
    b"PUT /f HTTP/1.1\r\nHost: hub\r\nContent-Length: 5\r\nX_Forwarded_For: 1\r\n\r\nhello",
    b"POST /f HTTP/1.1\r\nHost: hub\r\nContent-Length: 0\r\n\r\n",
)


def plainly(data: bytes) -> RequestHead | None:
    """Return what is read of a request without llhttp, None when it wants llhttp."""
    start, end = data.find(b"\r\n"), data.find(b"\r\n\r\n") + 4
    block = HeaderBlock.read(data[start:end], LIMITS)
    return None if block is None else read_line(data[:start], block, LIMITS)


def parsed(data: bytes) -> Sequence[IncomingRequest]:
    """Return what llhttp reads: no head that comes in two pieces is read without it."""
    reader = RequestReader(LIMITS)
    take_in(reader, data[:3])
    take_in(reader, data[3:])
    return reader.requests


def said(head: RequestHead) -> tuple[object, ...]:
    names = (name for name in RequestHead.__slots__ if name[0] != "_")
    return (*(getattr(head, name) for name in names), head.lines, head.fields)


def agree(data: bytes) -> None:
    head = plainly(data)
    if head is None:
        return
    first = parsed(data)[0]
    assert first.head is not None, (first.error, data)
    assert said(head) == said(first.head)


@pytest.mark.parametrize("spelled", [bytes.lower, bytes.title, bytes.upper])
@pytest.mark.parametrize("name", sorted(SPECIAL))
def test_what_is_read_of_a_header_does_not_depend_on_the_way(
    name: bytes, spelled: Callable[[bytes], bytes]
) -> None:
    lines = [b"GET / HTTP/1.1", b"Host: hub", spelled(name) + b": 1", b"Accept: */*", b"", b""]
    data = b"\r\n".join(lines)
    assert _USUAL.fullmatch(data[14:]) is None
    agree_if_read(data)


def agree_if_read(data: bytes) -> None:
    """Both ways agree on a request; what one refuses the other does not take."""
    if parsed(data)[0].head is None:
        assert plainly(data) is None
    agree(data)


@pytest.mark.parametrize("data", PLAIN)
def test_usual_requests_need_no_llhttp(data: bytes) -> None:
    assert plainly(data) is not None
    agree(data)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: hub\r\nX: a\x00b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: hub\r\nX: a\r\n b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: hub\nX: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : hub\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: hub\r\nHost: hub\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: y\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: hub\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: hub\r\n\r\n",
        b"GET /#a HTTP/1.1\r\nHost: hub\r\n\r\n",
        b"GET http://hub/ HTTP/1.1\r\nHost: hub\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: hub/a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a@hub\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: hub\r\nContent-Length: +5\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nHost: hub\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nHost: hub\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: hub\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: hub\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: hub\r\n" + b"X: y\r\n" * 256 + b"\r\n",
        b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\nHost: hub\r\n\r\n",
    ],
)
def test_whatever_else_goes_to_llhttp(data: bytes) -> None:
    assert plainly(data) is None


@pytest.mark.parametrize("topic", TOPICS)
def test_nothing_hostile_is_read_otherwise(topic: str) -> None:
    for entry in TOPICS[topic]:
        agree(b"".join(step for step in entry.steps if isinstance(step, bytes)))


PIECES = st.sampled_from(
    [
        *(b"GET ", b"POST ", b"PRI ", b"OPTIONS ", b"/", b"/a", b"/..", b"/%2e", b"?q=1", b"*"),
        *(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b" RTSP/1.1\r\n", b"\r\n", b"\n", b"\r", b" ", b"\t"),
        *(b"Host: hub\r\n", b"Host: h:1\r\n", b"Host:\r\n", b"host: [::1]\r\n", b"Host: a b\r\n"),
        *(b"X: y\r\n", b"X:y\r\n", b"X: y \r\n", b"X: \xff\r\n", b"X: \x01\r\n", b"X:\r\n"),
        *(b"Content-Length: 3\r\n", b"content-length: 03\r\n", b"Content-Length: 0\r\n"),
        *(b"Connection: close\r\n", b"Connection: x, keep-alive\r\n", b"Connection: upgrade\r\n"),
        *(b"Upgrade: websocket\r\n", b"Upgrade: h2c\r\n", b"TE: trailers\r\n", b"Expect: x\r\n"),
        *(b"Transfer-Encoding: chunked\r\n", b"X-Forwarded-For: a\r\n", b"Content_Length: 1\r\n"),
        *(b"abc", b"0\r\n\r\n", b"\x00"),
    ]
)


@settings(max_examples=1500, deadline=None)
@given(
    st.sampled_from(
        [b"GET /a HTTP/1.1\r\nHost: hub\r\n", b"POST /a HTTP/1.1\r\nHost: hub\r\n", b""]
    ),
    st.lists(PIECES, max_size=8),
    st.sampled_from([b"\r\n", b"\r\nabc", b""]),
)
@example(b"", [b"GET ", b"/", b" HTTP/1.1\r\n", b"Host: hub\r\n"], b"\r\n")
def test_both_ways_say_the_same(start: bytes, pieces: list[bytes], end: bytes) -> None:
    agree(start + b"".join(pieces) + end)


def test_a_client_that_repeats_itself_is_understood_each_time() -> None:
    reader = RequestReader(LIMITS)
    for data in (*PLAIN[:2], PLAIN[0], *PLAIN[3:], PLAIN[0], PLAIN[0]):
        reader.feed(data)
        request = reader.requests.popleft()
        assert not reader.requests
        assert request.error is None
        alone = parsed(data)[0]
        assert alone.head is not None
        assert request.head is not None
        assert said(request.head) == said(alone.head)
        assert bytes(request.take()) == alone.take()
        assert request.ended


def test_what_many_clients_sent_takes_no_memory_without_end() -> None:
    blocks = HeaderBlocks(LIMITS)
    for number in range(4000):
        raw = b"\r\nHost: hub\r\nCookie: %d%b\r\n\r\n" % (number, b"x" * 1000)
        once = blocks.read(raw)
        assert once is not None
        assert raw not in blocks._known
        twice = blocks.read(raw)
        assert twice is not None
        assert twice.raw == once.raw == raw
        assert blocks.read(raw) is twice
        block = blocks._known[raw]
        for route in range(number % 10):
            block.keep((route, None, None), raw)
    assert len(blocks._known) < 1500
    assert sum(block.held for block in blocks._known.values()) < 1 << 22
    assert len(blocks._seen) < 2000


def test_what_was_written_from_the_same_lines_takes_no_memory_without_end() -> None:
    block = HeaderBlock.read(b"\r\nHost: hub\r\n\r\n", LIMITS)
    assert block is not None
    for number in range(1000):
        written = b"x" * (number * 20)
        block.keep((number, None, None), written)
        assert block.heads[number, None, None] == written
        assert len(block.heads) == 1 or sum(map(len, block.heads.values())) < 1 << 14


def test_a_body_may_come_in_any_pieces() -> None:
    data = PLAIN[4]
    head = len(data) - 5
    for first, second in itertools.combinations(range(head, len(data) + 1), 2):
        reader = RequestReader(LIMITS)
        for piece in (data[:first], data[first:second], data[second:] + PLAIN[0]):
            take_in(reader, piece)
        assert [request.ended for request in reader.requests] == [True, True]
        assert bytes(reader.requests[0].take()) == b"hello"


def test_a_body_beyond_the_limit_is_refused() -> None:
    reader = RequestReader(Limits(body=4))
    reader.feed(PLAIN[4])
    (request,) = reader.requests
    assert request.error is not None
    assert request.error.status == 413
