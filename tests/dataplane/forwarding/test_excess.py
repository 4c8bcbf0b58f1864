"""What a target says beyond its response, or what can be misread, reaches nobody."""

import pytest

from tests.dataplane.forwarding.exchanges import CHUNKED, GET
from tests.dataplane.peers import ANSWER, Front, Target, exchange
from tests.dataplane.wire import request, response


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


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("announced", ["Content-Length: %d", "Transfer-Encoding: chunked"])
async def test_a_body_that_was_announced_where_none_can_be_is_not_waited_for(
    joined: Front, target: Target, method: str, status: int, announced: str
) -> None:
    """It may come when the next request is already on its way, as if it were its response."""
    late = response(200, body=b"not asked for")
    client = await joined.client()
    await client.send(request(method, "/"))
    wire = await target.accept()
    await wire.read_request()
    await wire.send(response(status, announced.replace("%d", str(len(late))), body=None))
    got = await client.read_response(to=method)
    assert got.status == status

    await client.send(request("GET", "/next"))
    fresh = await target.accept()
    await fresh.read_request()
    await fresh.send(response(200, body=b"mine"))
    assert (await client.read_response()).body == b"mine"
    assert await wire.ending() in ("end", "reset")


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


@pytest.mark.parametrize(
    "named",
    [
        ["Upgrade: websocket", "Upgrade: h2c"],
        ["Upgrade: h2c", "Upgrade: websocket"],
        ["Upgrade: websocket, h2c"],
        ["Upgrade: h2c,websocket"],
        ["Upgrade: websocket/13"],
        ["Upgrade: ,"],
    ],
    ids=", ".join,
)
async def test_a_switch_to_more_than_was_asked_for_is_503(
    joined: Front, target: Target, named: list[str]
) -> None:
    ask = request("GET", "/ws", "Connection: Upgrade", "Upgrade: websocket")
    lines = "\r\n".join(["HTTP/1.1 101 Switching", "Connection: Upgrade", *named])
    _, got = await exchange(joined, target, ask, lines.encode() + b"\r\n\r\n")
    assert got.status == 503
    assert await target.wires[0].ending() in ("end", "reset")


@pytest.mark.parametrize(
    ("named", "told"),
    [
        (["Upgrade: WebSocket"], "WebSocket"),
        (["Upgrade: websocket", "Upgrade: websocket"], "websocket"),
        (["Upgrade: TLS/1.3", "Upgrade: x"], "TLS/1.3, x"),
        (["Upgrade: TLS/1.3 ,x,"], "TLS/1.3, x"),
    ],
)
async def test_a_switch_names_all_that_it_is_to(
    joined: Front, target: Target, named: list[str], told: str
) -> None:
    """RFC 9110, section 7.8: several, in the order in which one stands on the other."""
    ask = request("GET", "/ws", "Connection: Upgrade", "Upgrade: websocket, x, TLS/1.3")
    lines = "\r\n".join(["HTTP/1.1 101 Switching", "Connection: Upgrade", *named])
    _, got = await exchange(joined, target, ask, lines.encode() + b"\r\n\r\n")
    assert got.status == 101
    assert got.get("upgrade") == told
