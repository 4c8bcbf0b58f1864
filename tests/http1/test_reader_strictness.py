"""What can be misread is refused, and what is unusual but clear passes."""

import pytest

from tests.http1.reading import BAD, GET, feed, read

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
        b"GET / HTTP/1.1\r\nHost: a%2fb\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: %2frun%0d%0aX\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: %2frun%2\r\n\r\n",
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


@pytest.mark.parametrize("host", [b"%2frun%2fhub.sock", b"%2Ftmp%2Fa%20b%2F%C3%BC.sock"])
def test_a_client_of_a_unix_socket_may_name_its_path(host: bytes) -> None:
    (request,) = feed(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n").requests

    assert request.head is not None
    assert request.head.host == host


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
