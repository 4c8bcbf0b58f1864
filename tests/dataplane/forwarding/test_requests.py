"""What a target gets of a request: line, headers and body."""

import random

import pytest

from hubgate.dataplane.forwarding import exchange as exchange_module
from tests.dataplane.peers import ANSWER, Front, Target, exchange
from tests.dataplane.wire import chunked, request

METHODS = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "MKCOL",
    "REPORT", "QUERY",
]  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
async def test_any_method(joined: Front, target: Target, method: str) -> None:
    seen, got = await exchange(joined, target, request(method, "/x?y"))

    assert seen.line == f"{method} /x?y HTTP/1.1"
    assert got.status == 200


@pytest.mark.parametrize("method", ["TRACE", "CONNECT"])
async def test_a_method_that_is_not_passed_on(
    joined: Front, target: Target, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    client = await joined.client()
    await client.send(request(method, "/x", "Cookie: secret=1"))
    got = await client.read_response()

    assert got.status == 405
    assert set((got.get("allow") or "").split(", ")) == {
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS",
    }  # fmt: skip
    assert b"secret" not in got.body
    assert target.accepted == 0
    assert any(line.startswith(f"405 {method} /x ") for line in caplog.messages)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "GET"])
async def test_any_method_with_a_body(joined: Front, target: Target, method: str) -> None:
    seen, _ = await exchange(joined, target, request(method, "/", body=b"some data"))

    assert seen.body == b"some data"
    assert seen.get("content-length") == "9"


async def test_a_post_without_a_body_says_so(joined: Front, target: Target) -> None:
    seen, _ = await exchange(joined, target, request("POST", "/", body=b""))

    assert seen.get("content-length") == "0"


async def test_headers_go_through_as_they_came(joined: Front, target: Target) -> None:
    lines = [
        "Accept: text/html;q=0.9, */*",
        "aCCept-Encoding: gzip, br",
        "Cookie: a=b; c=d",
        "Cookie: e=f",
        "X-Empty:",
        "X-Bytes: \xe9\xff",
        "Authorization: token secret",
    ]
    seen, _ = await exchange(joined, target, request("GET", "/", *lines))

    names = [name for name, _ in seen.fields]
    assert names[1:8] == [
        "Accept", "aCCept-Encoding", "Cookie", "Cookie", "X-Empty", "X-Bytes", "Authorization",
    ]  # fmt: skip
    assert seen.all("cookie") == ["a=b; c=d", "e=f"]
    assert seen.get("x-empty") == ""
    assert seen.get("x-bytes") == "\xe9\xff"


# --- bodies ----------------------------------------------------------------------------------


async def test_a_chunked_body_stays_chunked(joined: Front, target: Target) -> None:
    head = request("POST", "/", "Transfer-Encoding: chunked")
    seen, _ = await exchange(joined, target, head + chunked(b"some ", b"more ", b"data"))

    assert seen.get("transfer-encoding") == "chunked"
    assert seen.get("content-length") is None
    assert seen.body == b"some more data"


async def test_trailers_and_chunk_extensions_do_not_cross(joined: Front, target: Target) -> None:
    head = request("POST", "/", "Transfer-Encoding: chunked", "Trailer: X-Sum")
    body = b"4;name=value\r\ndata\r\n0\r\nX-Sum: 1\r\n\r\n"
    # The wire fails on trailers.
    seen, _ = await exchange(joined, target, head + body)

    assert seen.body == b"data"
    assert seen.get("trailer") is None


async def test_an_empty_chunked_body(joined: Front, target: Target) -> None:
    head = request("POST", "/", "Transfer-Encoding: chunked")
    seen, _ = await exchange(joined, target, head + chunked())

    assert seen.get("transfer-encoding") == "chunked"
    assert seen.body == b""


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_large_body_arrives_whole(joined: Front, target: Target, framing: str) -> None:
    data = random.Random(1).randbytes(3 << 20)
    if framing == "length":
        sent = request("PUT", "/", body=data)
    else:
        parts = [data[place : place + 70001] for place in range(0, len(data), 70001)]
        sent = request("PUT", "/", "Transfer-Encoding: chunked") + chunked(*parts)
    seen, got = await exchange(joined, target, sent)

    assert seen.body == data
    assert got.status == 200


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_each_part_of_a_body_goes_on_as_it_comes(
    joined: Front, target: Target, framing: str
) -> None:
    client = await joined.client()
    if framing == "length":
        await client.send(request("POST", "/", "Content-Length: 9"))
        parts, end = [b"one", b"two", b"six"], b""
    else:
        await client.send(request("POST", "/", "Transfer-Encoding: chunked"))
        parts, end = [b"3\r\none\r\n", b"3\r\ntwo\r\n", b"3\r\nsix\r\n"], b"0\r\n\r\n"
    wire = await target.accept()
    await wire.read_head()
    for part in parts:
        await client.send(part)
        assert await wire.read_exactly(len(part)) == part
    await client.send(end)
    assert await wire.read_exactly(len(end)) == end
    await wire.send(ANSWER)

    assert (await client.read_response()).body == b"hello"


async def test_a_chunked_request_ends_once(joined: Front, target: Target) -> None:
    client = await joined.client()
    head = request("POST", "/first", "Transfer-Encoding: chunked")
    await client.send(head + chunked(b"data"))
    wire = await target.accept()
    assert (await wire.read_request()).body == b"data"

    # What follows on the client's connection is none of the target's business yet.
    await client.send(request("GET", "/second"))
    await client.send(request("GET", "/third"))
    await wire.send(ANSWER)
    assert (await wire.read_request()).path == "/second"
    await wire.send(ANSWER)
    assert (await wire.read_request()).path == "/third"
    await wire.send(ANSWER)

    assert [(await client.read_response()).body for _ in range(3)] == [b"hello"] * 3


async def test_a_body_that_breaks_off_malformed_never_looks_complete(
    joined: Front, target: Target
) -> None:
    client = await joined.client()
    await client.send(request("POST", "/", "Transfer-Encoding: chunked") + b"4\r\ndata\r\n")
    wire = await target.accept()
    await wire.read_head()
    assert await wire.read_chunk() == b"data"
    await client.send(b"nonsense\r\n")

    assert await wire.ending() in ("end", "reset")
    assert (await client.read_response()).status == 400
    assert await client.ending() == "end"


# --- expectations ----------------------------------------------------------------------------


@pytest.fixture
def never_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no client told to go on but by its target."""
    monkeypatch.setattr(exchange_module, "_CONTINUE_AFTER", 60.0)


@pytest.mark.usefixtures("never_told")
async def test_a_client_that_waits_to_be_asked_is_asked_by_the_target(
    joined: Front, target: Target
) -> None:
    client = await joined.client()
    await client.send(request("PUT", "/", "Content-Length: 4", "Expect: 100-continue"))
    wire = await target.accept()
    assert (await wire.read_head()).get("expect") == "100-continue"
    assert not client.buffer

    await wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert (await client.read_response()).line == "HTTP/1.1 100 Continue"
    await client.send(b"data")
    assert await wire.read_exactly(4) == b"data"
    await wire.send(ANSWER)

    assert (await client.read_response()).body == b"hello"


@pytest.mark.usefixtures("never_told")
async def test_a_target_may_answer_without_wanting_the_body(joined: Front, target: Target) -> None:
    client = await joined.client()
    await client.send(request("PUT", "/", "Content-Length: 4", "Expect: 100-continue"))
    wire = await target.accept()
    await wire.read_head()
    await wire.send(b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
    got = await client.read_response()

    # The client may now send the body or not: nothing can follow.
    assert got.status == 417
    assert got.get("connection") == "close"
    assert await client.ending() == "end"
    assert await wire.ending() in ("end", "reset")


async def test_http_10_knows_no_expectations(joined: Front, target: Target) -> None:
    sent = b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\ndata"
    seen, _ = await exchange(joined, target, sent)

    assert seen.get("expect") is None
    assert seen.body == b"data"


# --- hop by hop ------------------------------------------------------------------------------


async def test_what_belongs_to_one_connection_does_not_cross(joined: Front, target: Target) -> None:
    seen, _ = await exchange(
        joined,
        target,
        request(
            "GET",
            "/",
            "Connection: keep-alive, X-Secret, x-other",
            "Connection: X-Third",
            "Keep-Alive: timeout=5",
            "Proxy-Connection: keep-alive",
            "TE: trailers",
            "Trailer: X",
            "X-Secret: 1",
            "X-OTHER: 2",
            "X-Third: 3",
            "X-Fourth: 4",
        ),
    )

    assert seen.names.isdisjoint(
        {
            "connection", "keep-alive", "proxy-connection", "te", "trailer", "x-secret",
            "x-other", "x-third", "upgrade",
        }
    )  # fmt: skip
    assert seen.get("x-fourth") == "4"


@pytest.mark.parametrize("name", ["Host", "Content-Length", "Cookie", "X-Forwarded-For"])
async def test_a_client_cannot_name_what_the_request_hangs_on(
    joined: Front, target: Target, name: str
) -> None:
    seen, _ = await exchange(
        joined, target, request("POST", "/", f"Connection: {name}", "X: y", body=b"data")
    )

    assert seen.get("host") == "hub"
    assert seen.get("content-length") == "4"
    assert seen.get("x-forwarded-for") == "127.0.0.1"
    assert seen.body == b"data"


async def test_an_upgrade_that_is_not_asked_for_by_name_is_dropped(
    joined: Front, target: Target
) -> None:
    seen, _ = await exchange(joined, target, request("GET", "/", "Upgrade: websocket"))

    assert seen.names.isdisjoint({"upgrade", "connection"})


@pytest.mark.parametrize(
    "lines",
    [
        ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQ"],
        ["Connection: Upgrade", "Upgrade: H2C"],
    ],
)
async def test_h2c_does_not_get_through(joined: Front, target: Target, lines: list[str]) -> None:
    seen, got = await exchange(joined, target, request("GET", "/", *lines))

    assert seen.names.isdisjoint({"upgrade", "connection", "http2-settings"})
    assert got.status == 200


async def test_an_upgrade_with_a_body_is_an_ordinary_request(joined: Front, target: Target) -> None:
    lines = ["Connection: Upgrade", "Upgrade: websocket"]
    seen, _ = await exchange(joined, target, request("POST", "/", *lines, body=b"data"))

    assert seen.names.isdisjoint({"upgrade", "connection"})
    assert seen.body == b"data"
