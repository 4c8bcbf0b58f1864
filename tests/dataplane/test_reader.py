"""From bytes to requests, however the bytes are cut."""

import itertools
import random
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.dataplane.reader import RequestReader
from proxy.model import Limits
from proxy.upstream.connection import Body
from tests.dataplane.wire import chunked


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
        reader.feed(piece)
    return reader


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


GET = b"GET /a%40b?c HTTP/1.1\r\nHost: hub\r\nAccept: */*\r\nX-Empty:\r\n\r\n"
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
BAD = b"GET /bad HTTP/1.1\r\nHost : hub\r\n\r\n"
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


@settings(deadline=None)
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


# --- limits ----------------------------------------------------------------------------------

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


# --- strictness ------------------------------------------------------------------------------

HOST = b"Host: h\r\n"


@pytest.mark.parametrize(
    "stream",
    [
        # two lengths, a length beside chunked
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5, 5\r\n\r\nhello",
        b"POST / HTTP/1.1\r\n"
        + HOST
        + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\n"
        + HOST
        + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\n"
        + HOST
        + b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n",
        # lengths that are none
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +5\r\n\r\nhello",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -5\r\n\r\nhello",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 0x5\r\n\r\nhello",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5_0\r\n\r\nhello",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5 5\r\n\r\nhello",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: five\r\n\r\nhello",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length:\r\n\r\nhello",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\x0b\r\n\r\nhello",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999999999999\r\n\r\n",
        # codings
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding:\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\n"
        + HOST
        + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\n"
        + HOST
        + b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        # line ends
        b"GET / HTTP/1.1\nHost: h\n\n",
        b"GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nX: y\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n\n",
        b"GET / HTTP/1.1\rHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n",
        # spaces, folds, names
        b"GET / HTTP/1.1\r\nHost : h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost\t: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nX: y\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nX: y\r\n\tfolded\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nX: y\r\n \r\n\r\n",
        b"GET / HTTP/1.1\r\n Host: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nX y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nX(: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nX\x00: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nX\xe9: y\r\n\r\n",
        # control bytes
        *(
            b"GET / HTTP/1.1\r\nHost: h\r\nX: a" + bytes([byte]) + b"b\r\n\r\n"
            for byte in (0x00, 0x01, 0x07, 0x08, 0x0B, 0x0C, 0x1B, 0x1F, 0x7F)
        ),
        b"GET /\x00 HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /\x01 HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /\x7f HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /a\tb HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /\xe9 HTTP/1.1\r\nHost: h\r\n\r\n",
        # hosts
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: user@a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
        # request targets
        b"GET a HTTP/1.1\r\nHost: h\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET http:///a HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET http://user@h/a HTTP/1.1\r\nHost: h\r\n\r\n",
        # request lines
        b"GET / HTTP/1.1 \r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.10\r\nHost: h\r\n\r\n",
        b"GET / http/1.1\r\nHost: h\r\n\r\n",
        b"GET / XTTP/1.1\r\nHost: h\r\n\r\n",
        b"BREW / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"get / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_can_be_misread_is_400(stream: bytes) -> None:
    whole = read(stream + GET)
    assert [request.status for request in whole] == [400]
    assert read(*(bytes([byte]) for byte in stream + GET)) == whole


@pytest.mark.parametrize("version", [b"0.9", b"1.2", b"2.0", b"3.0"])
def test_other_versions_are_refused(version: bytes) -> None:
    (request,) = read(b"GET / HTTP/" + version + b"\r\nHost: h\r\n\r\n")

    assert request.status in (400, 505)


def test_a_request_without_a_version_is_refused() -> None:
    assert read(b"GET /\r\n\r\n")[0].status in (400, 505)


def test_connect_is_405() -> None:
    (request,) = read(b"CONNECT hub:443 HTTP/1.1\r\nHost: hub:443\r\n\r\nGET / HTTP/1.1\r\n")

    assert request.status == 405


@pytest.mark.parametrize(
    "body",
    [
        b"5\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhelloo\r\n0\r\n\r\n",
        b"5\r\nhello\r\n0\r\n\n",
        b" 5\r\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"\r\nhello\r\n0\r\n\r\n",
        b";x\r\nhello\r\n0\r\n\r\n",
        b"g\r\nhello\r\n0\r\n\r\n",
        b"5;a\nb\r\nhello\r\n0\r\n\r\n",
        b"5;a\rb\r\nhello\r\n0\r\n\r\n",
        b"ffffffffffffffff1\r\nhello\r\n0\r\n\r\n",
        b"0\r\nX : y\r\n\r\n",
        b"0\r\n X: y\r\n\r\n",
        b"0\r\nX: \x00\r\n\r\n",
    ],
)
def test_a_chunked_body_that_can_be_misread_is_400(body: bytes) -> None:
    head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    reader = feed(head + body + GET)

    assert [request.error and request.error.status for request in reader.requests] == [400]
    assert reader.failed
    assert read(*(bytes([byte]) for byte in head + body + GET))[0].status == 400


def test_nothing_after_a_malformed_byte_is_read() -> None:
    reader = feed(GET + BAD)
    reader.feed(GET)

    assert [request.error is None for request in reader.requests] == [True, False]


@pytest.mark.parametrize(
    ("target", "host", "path"),
    [
        (b"http://hub/a?b", b"hub", b"/a?b"),
        (b"HTTP://hub:8000/a", b"hub:8000", b"/a"),
        (b"https://hub/", b"hub", b"/"),
        (b"http://hub", b"hub", b"/"),
        (b"http://hub?b", b"hub", b"/?b"),
        (b"http://[::1]:8000/a", b"[::1]:8000", b"/a"),
        (b"http://hub/?u=http://x/", b"hub", b"/?u=http://x/"),
    ],
)
def test_the_absolute_forms_host_wins(target: bytes, host: bytes, path: bytes) -> None:
    (request,) = feed(b"GET " + target + b" HTTP/1.1\r\nHost: other\r\n\r\n").requests

    assert request.head is not None
    assert request.head.host == host
    assert request.head.target == path


@pytest.mark.parametrize(
    "line",
    [
        b"X: a\tb",
        b"X: \xc3\xa9\xff",
        b"X: !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
        b"!#$%&'*+-.^_`|~09Az: y",
        b"X:y",
        b"X:  y ",
        b"Content-Type: multipart/form-data; boundary=x",
    ],
)
def test_what_is_unusual_but_clear_passes(line: bytes) -> None:
    (request,) = read(b"GET / HTTP/1.1\r\nHost: h\r\n" + line + b"\r\n\r\n")
    name, _, value = line.partition(b":")

    assert request.status == 0
    assert len(request.fields) == 1
    assert request.fields[0].startswith(name + b": ")
    assert request.fields[0].partition(b":")[2].strip() == value.strip()
