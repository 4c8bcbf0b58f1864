"""From bytes to requests, however the bytes are cut."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubgate.http1.message import Body
from tests.dataplane.wire import chunked
from tests.http1.reading import BAD, GET, cut, feed, read

POST = b"POST /b HTTP/1.1\r\nHost: hub\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"PUT /c HTTP/1.1\r\nHost: hub\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nX-Trailer: t\r\n\r\n"
)
EMPTY = b"POST /d HTTP/1.1\r\nHost: hub\r\nContent-Length: 0\r\n\r\n"
OLD = b"GET /e HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
H2C = b"GET /f HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
H2C_POST = (
    b"POST /g HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAA\r\nContent-Length: 5\r\n\r\nhello"
)
UPGRADE_POST = (
    b"POST /h HTTP/1.1\r\nHost: hub\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
    b"Content-Length: 5\r\n\r\nhello"
)
UPGRADE_CHUNKED = (
    b"POST /i HTTP/1.1\r\nHost: hub\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n" + chunked(b"hello", b"again")
)
UPGRADE_UNASKED = b"GET /j HTTP/1.1\r\nHost: hub\r\nUpgrade: websocket\r\n\r\n"
ALONE = [
    GET, POST, CHUNKED, EMPTY, OLD, H2C, H2C_POST, UPGRADE_POST, UPGRADE_CHUNKED, UPGRADE_UNASKED,
]  # fmt: skip
WEBSOCKET = b"GET /ws HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
BAD_CHUNK = b"POST /k HTTP/1.1\r\nHost: hub\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabX"


# --- one request -----------------------------------------------------------------------------


def test_a_request_without_a_body() -> None:
    (request,) = feed(GET).requests

    assert request.head is not None
    assert request.head.method == b"GET"
    assert request.head.target == b"/a%40b?c"
    assert request.head.host == b"hub"
    assert request.head.lines == [b"Accept: */*", b"X-Empty: "]
    assert request.head.body is Body.NONE
    assert request.ended


def test_a_body_of_known_length_passes_as_it_comes() -> None:
    reader = feed(POST[:-5])
    (request,) = reader.requests
    assert request.head is not None
    assert (request.head.body, request.head.length) == (Body.LENGTH, 5)
    assert not request.ended

    reader.feed(b"he")
    assert request.take() == b"he"
    assert not request.ended

    reader.feed(b"llo")
    assert request.take() == b"llo"
    assert request.ended


def test_a_chunked_body_passes_without_its_framing_and_trailers() -> None:
    (request,) = feed(CHUNKED).requests

    assert request.head is not None
    assert request.head.body is Body.CHUNKED
    assert request.take() == b"hello world"
    assert request.ended
    assert not any(b"Trailer" in line for line in request.head.lines)


def test_a_body_of_no_length_is_no_body_but_still_said() -> None:
    (request,) = read(EMPTY)

    assert request.framing is Body.NONE
    assert request.fields == [b"Content-Length: 0"]
    assert request.ended


def test_nothing_is_read_before_the_head_is_complete() -> None:
    assert read(GET[:-1]) == []


def test_empty_lines_between_requests_do_not_matter() -> None:
    assert read(b"\r\n" + GET + b"\r\n\r\n" + POST) == read(GET, POST)


# --- any cut ---------------------------------------------------------------------------------


@given(
    st.lists(st.sampled_from(ALONE), max_size=6),
    st.sampled_from([b"", GET[:20], WEBSOCKET + b"\x81\x05hello", WEBSOCKET, BAD + GET, BAD_CHUNK]),
    st.lists(st.integers(0, 4000), max_size=20),
)
def test_any_cut_gives_the_same_requests(
    messages: list[bytes], last: bytes, places: list[int]
) -> None:
    stream = b"".join(messages) + last

    assert read(*cut(stream, places)) == read(stream)


@pytest.mark.parametrize("message", [*ALONE, WEBSOCKET + b"frames", BAD, BAD_CHUNK])
def test_byte_by_byte_is_as_good_as_all_at_once(message: bytes) -> None:
    stream = message + GET
    pieces = [stream[place : place + 1] for place in range(len(stream))]

    assert read(*pieces) == read(stream)


def test_ignored_upgrades_in_a_row_are_no_deep_matter() -> None:
    stream = H2C_POST * 3000 + UPGRADE_CHUNKED * 1000 + H2C * 1000

    requests = feed(stream).requests
    assert len(requests) == 5000
    assert all(request.ended for request in requests)


def test_what_follows_a_last_request_is_refused() -> None:
    closing = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

    assert [request.status for request in read(closing + GET)] == [0, 400]
    assert [request.status for request in read(closing, GET)] == [0, 400]


def test_each_of_many_pipelined_requests_comes_out() -> None:
    chance = random.Random(7)
    messages = [chance.choice(ALONE) for _ in range(2000)]
    alone = [read(message)[0] for message in messages]

    assert read(b"".join(messages)) == alone


# --- upgrades --------------------------------------------------------------------------------


def test_what_follows_an_upgrade_belongs_to_the_new_protocol() -> None:
    reader = feed(GET, WEBSOCKET + b"one ")
    reader.feed(b"two")
    _, request = reader.requests

    assert request.head is not None
    assert request.head.upgrade == b"websocket"
    assert request.ended
    assert request.leftover == b"one two"


@pytest.mark.parametrize("upgrade", [H2C, H2C_POST, UPGRADE_POST, UPGRADE_CHUNKED, UPGRADE_UNASKED])
def test_an_upgrade_that_cannot_become_a_tunnel_is_an_ordinary_request(upgrade: bytes) -> None:
    reader = feed(upgrade + GET)
    request, following = reader.requests

    assert request.head is not None
    assert request.head.upgrade == b""
    assert request.ended
    assert request.leftover == b""
    assert not any(line.lower().startswith(b"upgrade") for line in request.head.lines)
    assert following.head is not None
    assert following.head.target == b"/a%40b?c"


@pytest.mark.parametrize("name", [b"h2c", b"H2C", b" h2c "])
def test_h2c_never_becomes_a_tunnel(name: bytes) -> None:
    (request,) = feed(H2C.replace(b" h2c", b" " + name)).requests

    assert request.head is not None
    assert request.head.upgrade == b""


@pytest.mark.parametrize(
    ("upgrade", "body"),
    [(H2C_POST, b"hello"), (UPGRADE_POST, b"hello"), (UPGRADE_CHUNKED, b"helloagain")],
)
def test_the_body_beside_an_ignored_upgrade_is_kept(upgrade: bytes, body: bytes) -> None:
    assert read(upgrade)[0].body == body
