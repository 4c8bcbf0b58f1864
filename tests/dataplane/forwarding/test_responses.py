"""What a client gets of a response: line, headers and body, in each framing."""

import asyncio
import random

import pytest

from tests.dataplane.forwarding.exchanges import (
    CHUNKED,
    GET,
    GET_10,
    GET_10_KEPT,
    UNTIL_CLOSE,
    closing_exchange,
)
from tests.dataplane.peers import ANSWER, Front, Target, exchange, until
from tests.dataplane.wire import chunked, request, response

# --- status line and headers -----------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 206, 301, 400, 401, 404, 418, 451, 500, 503, 599])
async def test_any_status(joined: Front, target: Target, status: int) -> None:
    _, got = await exchange(joined, target, GET, response(status, body=b"text"))

    assert got.line == f"HTTP/1.1 {status} Reason"
    assert got.body == b"text"


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        (b"HTTP/1.1 200 A  long: reason!", "HTTP/1.1 200 A  long: reason!"),
        (b"HTTP/1.1 200 ", "HTTP/1.1 200 OK"),
        (b"HTTP/1.1 200", "HTTP/1.1 200 OK"),
        (b"HTTP/1.1 299 ", "HTTP/1.1 299 "),
        (b"HTTP/1.0 200 OK", "HTTP/1.1 200 OK"),
    ],
)
async def test_the_reason_goes_through(
    joined: Front, target: Target, line: bytes, seen: str
) -> None:
    _, got = await exchange(joined, target, GET, line + b"\r\nContent-Length: 0\r\n\r\n")

    assert got.line == seen


@pytest.mark.parametrize("asked", [GET, request("HEAD", "/")])
@pytest.mark.parametrize("blank", [b"\r\n", b"\n", b"\r\n\r\n\n", b"\r", b"\r\n" * 32])
@pytest.mark.parametrize("apart", [False, True])
async def test_blank_lines_before_the_status_line_are_skipped(
    joined: Front, target: Target, asked: bytes, blank: bytes, apart: bool
) -> None:
    client = await joined.client()
    await client.send(asked)
    wire = await target.accept()
    for number in range(2):
        method = (await wire.read_request()).method
        if apart:
            await wire.send(blank)
            await asyncio.sleep(0.01)
            blank_now = b""
        else:
            blank_now = blank
        answer = response(200, f"X-Number: {number}", body=None if method == "HEAD" else b"hello")
        await wire.send(blank_now + answer.replace(b"\r\n\r\n", b"\r\nX-A: 1\r\n\r\n", 1))
        got = await client.read_response(to=method)
        assert (got.status, got.get("x-number"), got.get("x-a")) == (200, str(number), "1")
        if method == "HEAD":
            return
        assert got.body == b"hello"
        await client.send(asked)


@pytest.mark.parametrize("blank", [b"\r\n" * 33, b"\n" * 65, b"\r\n \r\n", b" ", b"\r\nX"])
async def test_but_not_without_end_nor_anything_else(
    joined: Front, target: Target, blank: bytes
) -> None:
    _, got = await exchange(joined, target, GET, blank + ANSWER)

    assert got.status == 503


async def test_headers_go_through_as_they_came(joined: Front, target: Target) -> None:
    lines = [
        "Set-Cookie: a=b; Path=/",
        "Set-Cookie: c=d",
        "x-LOWER: 1",
        "X-Empty:",
        "X-Bytes: \xe9\xff",
        "Date: Thu, 01 Jan 1970 00:00:00 GMT",
        "Server: notebook",
        "Alt-Svc: clear",
    ]
    _, got = await exchange(joined, target, GET, response(200, *lines))

    assert [name for name, _ in got.fields] == [
        "Set-Cookie", "Set-Cookie", "x-LOWER", "X-Empty", "X-Bytes", "Date", "Server", "Alt-Svc",
        "Content-Length",
    ]  # fmt: skip
    assert got.all("set-cookie") == ["a=b; Path=/", "c=d"]
    assert got.get("x-bytes") == "\xe9\xff"


async def test_what_belongs_to_one_connection_does_not_cross(joined: Front, target: Target) -> None:
    lines = [
        "Connection: keep-alive, X-Secret",
        "Keep-Alive: timeout=5",
        "Proxy-Connection: keep-alive",
        "TE: trailers",
        "Trailer: X",
        "Upgrade: h2c",
        "X-Secret: 1",
        "X-Kept: 2",
    ]
    _, got = await exchange(joined, target, GET, response(200, *lines, body=b"x"))

    assert got.names == {"x-kept", "content-length"}


async def test_a_target_cannot_name_what_the_response_hangs_on(
    joined: Front, target: Target
) -> None:
    lines = ["Connection: Content-Length, Set-Cookie", "Set-Cookie: a=b"]
    _, got = await exchange(joined, target, GET, response(200, *lines, body=b"text"))

    assert got.get("content-length") == "4"
    assert got.get("set-cookie") == "a=b"


async def test_the_targets_persistence_is_not_the_clients(joined: Front, target: Target) -> None:
    got, client = await closing_exchange(
        joined, target, GET, response(200, "Connection: close", body=b"one")
    )
    assert got.get("connection") is None

    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    await wire.send(ANSWER)
    assert (await client.read_response()).body == b"hello"


# --- framing ---------------------------------------------------------------------------------


async def test_a_length_stays_a_length(joined: Front, target: Target) -> None:
    _, got = await exchange(joined, target, GET, ANSWER)

    assert got.get("content-length") == "5"
    assert got.get("transfer-encoding") is None
    assert got.body == b"hello"


async def test_chunked_stays_chunked(joined: Front, target: Target) -> None:
    _, got = await exchange(joined, target, GET, CHUNKED)

    assert got.get("transfer-encoding") == "chunked"
    assert got.get("connection") is None
    assert got.body == b"hello"


async def test_trailers_do_not_cross(joined: Front, target: Target) -> None:
    # The wire fails on trailers.
    _, got = await exchange(joined, target, GET, CHUNKED[:-2] + b"X-Sum: 1\r\n\r\n")

    assert got.body == b"hello"


async def test_a_body_until_close_becomes_chunked(joined: Front, target: Target) -> None:
    got, client = await closing_exchange(joined, target, GET, UNTIL_CLOSE)
    assert got.get("transfer-encoding") == "chunked"
    assert got.body == b"hello"

    await client.send(request("GET", "/_chp_healthz"))
    assert (await client.read_response()).status == 200


@pytest.mark.parametrize("answer", [ANSWER, CHUNKED, UNTIL_CLOSE, b"HTTP/1.0 200 OK\r\n\r\nhello"])
async def test_http_10_gets_no_chunks(joined: Front, target: Target, answer: bytes) -> None:
    got, client = await closing_exchange(joined, target, GET_10, answer)

    assert got.line.startswith("HTTP/1.1 200")
    assert got.get("transfer-encoding") is None
    assert got.get("connection") == "close"
    assert got.body == b"hello"
    assert await client.ending() == "end"


@pytest.mark.parametrize("answer", [CHUNKED, UNTIL_CLOSE])
async def test_http_10_that_asks_to_stay_is_closed_where_only_the_end_tells(
    joined: Front, target: Target, answer: bytes
) -> None:
    got, client = await closing_exchange(joined, target, GET_10_KEPT, answer)

    assert got.get("connection") == "close"
    assert got.body == b"hello"
    assert await client.ending() == "end"


async def test_http_10_that_asks_to_stay_may_where_a_length_tells(
    joined: Front, target: Target
) -> None:
    client = await joined.client()
    await client.send(GET_10_KEPT)
    wire = await target.accept()
    for _ in range(2):
        await wire.read_request()
        await wire.send(ANSWER)
        got = await client.read_response()
        assert got.get("connection") == "keep-alive"
        assert got.body == b"hello"
        await client.send(GET_10_KEPT)


@pytest.mark.parametrize("framing", ["length", "chunked", "until close"])
async def test_a_large_body_arrives_whole(joined: Front, target: Target, framing: str) -> None:
    data = random.Random(2).randbytes(3 << 20)
    if framing == "length":
        answer = response(200, body=data)
    elif framing == "chunked":
        parts = [data[place : place + 70001] for place in range(0, len(data), 70001)]
        answer = response(200, "Transfer-Encoding: chunked", body=None) + chunked(*parts)
    else:
        answer = response(200, body=None) + data
    client = await joined.client()
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    await wire.send(answer)
    if framing == "until close":
        wire.close()

    assert (await client.read_response()).body == data


# --- no body ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        (["Content-Length: 5"], {"content-length"}),
        (["Transfer-Encoding: chunked"], set()),
        ([], set()),
    ],
)
async def test_a_response_to_head_has_no_body(
    joined: Front, target: Target, lines: list[str], kept: set[str]
) -> None:
    client = await joined.client()
    await client.send(request("HEAD", "/") + request("GET", "/next"))
    wire = await target.accept()
    assert (await wire.read_head()).method == "HEAD"
    await wire.send(response(200, *lines, body=None))
    got = await client.read_response(to="HEAD")
    assert got.names & {"content-length", "transfer-encoding"} == kept

    assert (await wire.read_request()).path == "/next"
    await wire.send(ANSWER)
    assert (await client.read_response()).body == b"hello"


@pytest.mark.parametrize("status", [204, 304])
async def test_some_statuses_have_no_body(joined: Front, target: Target, status: int) -> None:
    client = await joined.client()
    await client.send(request("GET", "/") + request("GET", "/next"))
    wire = await target.accept()
    await wire.read_request()
    await wire.send(response(status, "ETag: x", body=None))
    got = await client.read_response()
    assert got.status == status
    assert got.names == {"etag"}

    assert (await wire.read_request()).path == "/next"
    await wire.send(ANSWER)
    assert (await client.read_response()).body == b"hello"


async def test_a_304_may_say_how_long_its_page_is(joined: Front, target: Target) -> None:
    answer = response(304, "Content-Length: 5", body=None)
    _, got = await exchange(joined, target, GET, answer)

    assert got.get("content-length") == "5"


# --- activity --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "active"), [(200, True), (204, True), (302, False), (404, False)]
)
async def test_only_what_went_well_is_activity(
    joined: Front, target: Target, status: int, active: bool
) -> None:
    await exchange(joined, target, GET, response(status, body=None if status == 204 else b""))
    await until(lambda: joined.plane.counters.responses[status], "the response is counted")

    assert ("/" in joined.plane.report().activity) is active


async def test_a_body_on_its_way_in_is_activity(joined: Front, target: Target) -> None:
    client = await joined.client()
    await client.send(request("POST", "/", "Content-Length: 10") + b"hello")
    wire = await target.accept()
    await wire.read_head()
    assert joined.plane.report().activity.keys() == {"/"}

    await client.send(b"hello")
    await wire.read_exactly(10)
    assert joined.plane.report().activity.keys() == {"/"}
    assert joined.plane.report().activity == {}
