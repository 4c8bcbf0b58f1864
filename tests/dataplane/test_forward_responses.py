"""What a client gets of a response: line, headers and body, in each framing."""

import random

import pytest

from tests.dataplane.conftest import StartFront
from tests.dataplane.peers import ANSWER, Front, Target, exchange, until
from tests.dataplane.wire import Message, Wire, chunked, request, response

GET = request("GET", "/")
GET_10 = b"GET / HTTP/1.0\r\nHost: hub\r\n\r\n"
GET_10_KEPT = b"GET / HTTP/1.0\r\nHost: hub\r\nConnection: keep-alive\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"hel", b"lo")
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\nhello"


async def closing_exchange(
    front: Front, target: Target, sent: bytes, answer: bytes
) -> tuple[Message, Wire]:
    """Send a request, give an answer and close; return the response and the client."""
    client = await front.client()
    await client.send(sent)
    wire = await target.accept()
    await wire.read_request()
    await wire.send(answer)
    wire.close()
    return await client.read_response(), client


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


# --- parts, as they come ---------------------------------------------------------------------


@pytest.mark.parametrize("framing", ["chunked", "until close"])
async def test_events_arrive_as_they_are_sent(joined: Front, target: Target, framing: str) -> None:
    client = await joined.client()
    await client.send(request("GET", "/", "Accept: text/event-stream"))
    wire = await target.accept()
    await wire.read_request()
    coding = ["Transfer-Encoding: chunked"] if framing == "chunked" else []
    await wire.send(response(200, "Content-Type: text/event-stream", *coding, body=None))
    got = await client.read_head()
    assert got.get("content-type") == "text/event-stream"

    for number in range(5):
        event = b"data: %d\n\n" % number
        await wire.send(chunked(event)[:-5] if framing == "chunked" else event)
        assert await client.read_chunk() == event
    if framing == "chunked":
        await wire.send(b"0\r\n\r\n")
    wire.close()
    assert await client.read_chunk() == b""


async def test_a_body_of_known_length_arrives_as_it_is_sent(joined: Front, target: Target) -> None:
    client = await joined.client()
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    await wire.send(response(200, "Content-Length: 6", body=None))
    await client.read_head()

    for part in (b"ab", b"cd", b"ef"):
        await wire.send(part)
        assert await client.read_exactly(2) == part


async def test_early_hints_come_before_the_response(joined: Front, target: Target) -> None:
    client = await joined.client()
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    await wire.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nKeep-Alive: 5\r\n\r\n")
    hints = await client.read_response()
    assert hints.status == 103
    assert hints.fields == [("Link", "</a.css>")]

    await wire.send(ANSWER)
    assert (await client.read_response()).body == b"hello"


async def test_http_10_gets_no_hints(joined: Front, target: Target) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    got, _ = await closing_exchange(joined, target, GET_10, hints + ANSWER)

    assert got.status == 200


async def test_a_body_may_go_both_ways_at_once(joined: Front, target: Target) -> None:
    client = await joined.client()
    await client.send(request("POST", "/", "Transfer-Encoding: chunked"))
    wire = await target.accept()
    await wire.read_head()
    await wire.send(response(200, "Transfer-Encoding: chunked", body=None))
    await client.read_head()

    for number in range(5):
        part = b"part %d" % number
        await client.send(chunked(part)[:-5])
        assert await wire.read_chunk() == part
        await wire.send(chunked(part)[:-5])
        assert await client.read_chunk() == part
    await client.send(b"0\r\n\r\n")
    assert await wire.read_chunk() == b""
    await wire.send(b"0\r\n\r\n")
    assert await client.read_chunk() == b""


# --- an answer before the request's end ------------------------------------------------------


@pytest.mark.parametrize("answer", [response(413, body=b"too much"), CHUNKED])
async def test_an_early_answer_reaches_a_client_that_still_sends(
    joined: Front, target: Target, answer: bytes
) -> None:
    client = await joined.client()
    await client.send(request("PUT", "/", "Content-Length: 100000000") + bytes(1000))
    wire = await target.accept()
    await wire.read_head()
    await wire.send(answer)
    await client.send(bytes(1 << 20))
    got = await client.read_response()

    assert got.status in (413, 200)
    assert got.get("connection") == "close"
    assert await wire.drain() in ("end", "reset")
    # The client may go on for a while without being cut off, then sees the end.
    await client.send(bytes(1 << 20))
    assert await client.ending() == "end"


async def test_what_comes_after_an_early_answer_is_not_kept(joined: Front, target: Target) -> None:
    client = await joined.client()
    await client.send(request("PUT", "/", "Content-Length: 100000000"))
    wire = await target.accept()
    await wire.read_head()
    await wire.send(response(413))
    await client.read_response()
    (connection,) = joined.plane._listener.clients
    for _ in range(40):
        await client.send(bytes(1 << 20))

    assert not connection._reader.requests
    assert sum(map(len, _waiting(connection))) == 0


def _waiting(connection: object) -> list[bytes]:
    """Return the body bytes that a connection holds for whichever request."""
    current = connection._reader._current  # type: ignore[attr-defined]
    return list(current.chunks) if current is not None else []


async def test_after_an_early_answer_no_request_follows(joined: Front, target: Target) -> None:
    client = await joined.client()
    await client.send(request("POST", "/", "Content-Length: 5") + b"he")
    wire = await target.accept()
    await wire.read_head()
    await wire.send(ANSWER)
    await client.read_response()
    await client.send(b"llo" + request("GET", "/next"))

    assert await client.ending() in ("end", "reset")
    assert target.accepted == 1


# --- what must not get through ---------------------------------------------------------------


@pytest.mark.parametrize("excess", [b"x", ANSWER, b"HTTP/1.1 200 OK\r\n\r\n"])
@pytest.mark.parametrize("first", [ANSWER, CHUNKED, response(204, body=None)])
async def test_bytes_beyond_a_response_reach_nobody(
    joined: Front, target: Target, first: bytes, excess: bytes
) -> None:
    client = await joined.client()
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    await wire.send(first + excess)
    await client.read_response()

    await client.send(request("GET", "/next"))
    fresh = await target.accept()
    assert (await fresh.read_request()).path == "/next"
    await fresh.send(response(200, body=b"mine"))
    assert (await client.read_response()).body == b"mine"
    assert await wire.ending() in ("end", "reset")


async def test_bytes_that_come_later_reach_nobody(joined: Front, target: Target) -> None:
    client = await joined.client()
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    await wire.send(ANSWER)
    await client.read_response()
    await wire.send(response(200, body=b"not asked for"))
    assert await wire.ending() in ("end", "reset")

    await client.send(request("GET", "/next"))
    fresh = await target.accept()
    await fresh.read_request()
    await fresh.send(response(200, body=b"mine"))
    assert (await client.read_response()).body == b"mine"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: evil=1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\nSet-Cookie: evil=1\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n Set-Cookie: evil=1\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
async def test_a_response_that_can_be_misread_is_503(
    joined: Front, target: Target, answer: bytes
) -> None:
    _, got = await exchange(joined, target, GET, answer)

    assert got.status == 503
    assert b"evil" not in got.body
    assert got.get("set-cookie") is None


async def test_an_unasked_switch_of_protocols_is_503(joined: Front, target: Target) -> None:
    answer = b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    _, got = await exchange(joined, target, GET, answer)
    assert got.status == 503

    assert await target.wires[0].ending() in ("end", "reset")


# --- Location --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "location", "seen"),
    [
        ({}, "http://{target}/a", "http://{target}/a"),
        ({"auto_rewrite": True}, "http://{target}/a?b#c", "http://hub:8000/a?b#c"),
        ({"auto_rewrite": True}, "http://{target}", "http://hub:8000"),
        ({"auto_rewrite": True}, "http://{target}x/a", "http://{target}x/a"),
        ({"auto_rewrite": True}, "http://other/a", "http://other/a"),
        ({"auto_rewrite": True}, "/a", "/a"),
        ({"auto_rewrite": True}, "//{target}/a", "//{target}/a"),
        ({"auto_rewrite": True}, "http://user@{target}/a", "http://user@{target}/a"),
        ({"protocol_rewrite": "https"}, "http://{target}/a", "https://{target}/a"),
        ({"protocol_rewrite": "https"}, "http://other/a", "http://other/a"),
        (
            {"protocol_rewrite": "https", "auto_rewrite": True},
            "http://{target}/a",
            "https://hub:8000/a",
        ),
    ],
)
async def test_a_location_at_the_target_is_pointed_at_us(
    start_front: StartFront,
    target: Target,
    rules: dict[str, object],
    location: str,
    seen: str,
) -> None:
    front = await start_front(**rules)
    front.route("/", target.url)
    name = f"127.0.0.1:{target.port}"
    answer = response(302, f"location: {location.format(target=name)}")
    _, got = await exchange(front, target, request("GET", "/", host="hub:8000"), answer)

    assert got.get("location") == seen.format(target=name)


@pytest.mark.parametrize(
    ("status", "changed"),
    [(201, True), (301, True), (302, True), (307, True), (308, True), (200, False), (303, False)],
)
async def test_a_location_is_rewritten_in_redirects_only(
    start_front: StartFront, target: Target, status: int, changed: bool
) -> None:
    front = await start_front(auto_rewrite=True)
    front.route("/", target.url)
    location = f"http://127.0.0.1:{target.port}/a"
    _, got = await exchange(front, target, GET, response(status, f"Location: {location}"))

    assert (got.get("location") == "http://hub/a") is changed


# --- activity --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "active"), [(200, True), (204, True), (302, False), (404, False)]
)
async def test_only_what_went_well_is_activity(
    joined: Front, target: Target, status: int, active: bool
) -> None:
    await exchange(joined, target, GET, response(status, body=None if status == 204 else b""))
    await until(lambda: joined.plane.counters[status], "the response is counted")

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
