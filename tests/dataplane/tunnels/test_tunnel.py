"""Websockets and other upgrades: the handshake, and bytes both ways, untouched."""

import asyncio
import random
import socket
import ssl

import pytest

from hubgate.transport.bounded_reads import READ_AT_ONCE
from tests.dataplane.peers import Front, Target, flood
from tests.dataplane.tunnels.frames import MASK, read_frame
from tests.dataplane.tunnels.tunnels import HELLO, RAW, RAW_SWITCH, SWITCH, UPGRADE, closed, opened
from tests.dataplane.wire import Wire, request, response
from tests.frames import BINARY, CLOSE, PING, PONG, TEXT, frame

# --- the handshake ---------------------------------------------------------------------------


async def test_the_handshake_goes_through(joined: Front, target: Target) -> None:
    client = await joined.client()
    lines = ["Sec-WebSocket-Protocol: v1.kernel", "Sec-WebSocket-Extensions: permessage-deflate",
             "Origin: http://hub", "Cookie: a=b"]  # fmt: skip
    await client.send(request("GET", "/ws?token=x", *UPGRADE, *lines))
    wire = await target.accept()
    seen = await wire.read_request()
    assert seen.line == "GET /ws?token=x HTTP/1.1"
    assert seen.get("connection") == "Upgrade"
    assert seen.get("upgrade") == "websocket"
    assert seen.get("x-forwarded-proto") == "ws"
    for line in ["Sec-WebSocket-Key: a2V5", *lines]:
        name, _, value = line.partition(": ")
        assert seen.get(name) == value

    await wire.send(SWITCH[:-2] + b"Sec-WebSocket-Accept: x\r\nSet-Cookie: c=d\r\n\r\n")
    got = await client.read_response()
    assert got.line == "HTTP/1.1 101 Switching Protocols"
    assert got.get("connection") == "Upgrade"
    assert got.get("upgrade") == "websocket"
    assert got.get("sec-websocket-accept") == "x"
    assert got.get("set-cookie") == "c=d"


@pytest.mark.parametrize(
    "lines",
    [
        ["Connection: keep-alive, Upgrade", "Upgrade: websocket"],
        ["Connection: upgrade", "Upgrade: WebSocket"],
        ["Connection: x", "Connection: UPGRADE", "Upgrade: websocket"],
    ],
)
async def test_however_it_is_asked_for(joined: Front, target: Target, lines: list[str]) -> None:
    client = await joined.client()
    await client.send(request("GET", "/", *lines))
    wire = await target.accept()
    seen = await wire.read_request()
    assert (seen.get("upgrade") or "").lower() == "websocket"

    await wire.send(SWITCH)
    assert (await client.read_response()).status == 101


@pytest.mark.parametrize(
    "answer",
    [
        response(403, "X-Reason: no", body=b"not for you"),
        response(200, "Transfer-Encoding: chunked", body=None) + b"3\r\nyes\r\n0\r\n\r\n",
        response(426, body=b""),
    ],
)
async def test_a_target_may_answer_with_a_response(
    joined: Front, target: Target, answer: bytes
) -> None:
    client = await joined.client()
    await client.send(request("GET", "/ws", *UPGRADE))
    wire = await target.accept()
    await wire.read_request()
    await wire.send(answer)
    got = await client.read_response()

    assert got.status == int(answer[9:12])
    assert got.body in (b"not for you", b"yes", b"")
    assert got.get("connection") == "close"
    assert await client.ending() == "end"
    assert not joined.plane.tunnels


async def test_an_upgrade_nobody_serves_is_answered_with_an_empty_page(front: Front) -> None:
    front.route("/dead", "http://127.0.0.1:1")
    for path, status in (("/none", 404), ("/dead", 503)):
        client = await front.client()
        await client.send(request("GET", path, *UPGRADE))
        got = await client.read_response()

        assert got.status == status
        assert got.body == b""
        assert got.get("connection") == "close"
        assert await client.ending() == "end"


async def test_a_target_that_dies_during_the_handshake_is_503(
    joined: Front, target: Target
) -> None:
    client = await joined.client()
    await client.send(request("GET", "/ws", *UPGRADE))
    wire = await target.accept()
    await wire.read_request()
    wire.close()
    got = await client.read_response()

    assert (got.status, got.body) == (503, b"")
    assert await client.ending() == "end"


async def test_a_client_that_leaves_during_the_handshake_takes_it_along(
    joined: Front, target: Target
) -> None:
    client = await joined.client()
    await client.send(request("GET", "/ws", *UPGRADE))
    wire = await target.accept()
    await wire.read_request()
    client.close()

    assert await wire.ending() in ("end", "reset")
    await closed(joined)


async def test_hints_may_come_before_the_switch(joined: Front, target: Target) -> None:
    client = await joined.client()
    await client.send(request("GET", "/ws", *UPGRADE))
    wire = await target.accept()
    await wire.read_request()
    await wire.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" + SWITCH + b"data")

    assert (await client.read_response()).status == 103
    assert (await client.read_response()).status == 101
    assert await client.read_exactly(4) == b"data"


# --- bytes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", [False, True])
async def test_bytes_go_both_ways_untouched(joined: Front, target: Target, raw: bool) -> None:
    client, wire = await opened(joined, target, raw=raw)
    chance = random.Random(5)
    for size in (1, 2, 125, 126, 65535, 65536, 300000):
        data = chance.randbytes(size)
        _, got = await asyncio.gather(client.send(data), wire.read_exactly(size))
        assert got == data
        _, got = await asyncio.gather(wire.send(data), client.read_exactly(size))
        assert got == data


async def test_frames_of_every_kind_pass(joined: Front, target: Target) -> None:
    client, wire = await opened(joined, target)
    sent = [
        frame(TEXT, b"a" * 200, mask=MASK, final=False),
        frame(PING, b"p", mask=MASK),
        frame(0, b"b", mask=MASK),
        frame(BINARY, b"compressed", mask=MASK, rsv=4),
        frame(PONG, mask=MASK),
        frame(CLOSE, b"\x03\xe8bye", mask=MASK),
    ]
    for data in sent:
        await client.send(data)
    assert await wire.read_exactly(sum(map(len, sent))) == b"".join(sent)


@pytest.mark.parametrize("raw", [False, True])
async def test_what_comes_with_the_request_reaches_the_target(
    joined: Front, target: Target, raw: bool
) -> None:
    client = await joined.client()
    await client.send(request("GET", "/ws", *(RAW if raw else UPGRADE)) + HELLO)
    wire = await target.accept()
    await wire.read_request()
    assert wire.buffer == b""  # not before the target has agreed

    await client.send(HELLO)
    await wire.send((RAW_SWITCH if raw else SWITCH) + frame(TEXT, b"welcome"))
    assert (await client.read_response()).status == 101
    assert (await read_frame(client)).payload == b"welcome"
    assert await wire.read_exactly(2 * len(HELLO)) == HELLO * 2
    await client.send(HELLO)
    assert await wire.read_exactly(len(HELLO)) == HELLO


async def test_what_a_refused_client_sent_early_is_no_request(
    joined: Front, target: Target
) -> None:
    client = await joined.client()
    smuggled = request("GET", "/smuggled")
    await client.send(request("GET", "/ws", *UPGRADE) + smuggled)
    wire = await target.accept()
    await wire.read_request()
    await wire.send(response(403))

    assert (await client.read_response()).status == 403
    assert await client.drain() in ("end", "reset")
    _, got = await exchange_on(joined, wire)
    assert got == "/next"


async def exchange_on(front: Front, wire: Wire) -> tuple[Wire, str]:
    """Ask for /next and return the path of the next request on a target's connection."""
    client = await front.client()
    await client.send(request("GET", "/next"))
    path = (await wire.read_request()).path
    await wire.send(response(200))
    return client, path


async def test_over_tls(secured: Front, target: Target, client_tls: ssl.SSLContext) -> None:
    client, wire = await opened(secured, target, client=await secured.tls_client(client_tls))
    assert target.wires[0] is wire
    data = random.Random(6).randbytes(1 << 20)
    _, got = await asyncio.gather(client.send(data), wire.read_exactly(len(data)))
    assert got == data
    _, got = await asyncio.gather(wire.send(data), client.read_exactly(len(data)))
    assert got == data

    client.close()
    assert await wire.ending() == "end"
    wire.close()
    await closed(secured)


async def test_over_tls_the_targets_end_is_the_clients(
    secured: Front, target: Target, client_tls: ssl.SSLContext
) -> None:
    client, wire = await opened(secured, target, client=await secured.tls_client(client_tls))
    await wire.send(b"last words")
    wire.close()

    assert await client.read_rest() == b"last words"
    await closed(secured)


@pytest.mark.parametrize(
    "before",
    [b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 90, b""],
    ids=["interim", "head"],
)
async def test_a_tunnel_begins_well_behind_a_long_beginning(
    joined: Front, target: Target, before: bytes
) -> None:
    client = await joined.client()
    await client.send(request("GET", "/", *UPGRADE))
    wire = await target.accept()
    await wire.read_request()
    lines = b"" if before else b"X-Line: y\r\n" * 12_000
    await wire.send(before + SWITCH[:-2] + lines + b"\r\n" + HELLO)
    got = await client.read_until(b"\r\n\r\n" + HELLO)
    assert b" 101 " in got
    for _ in range(3):
        await wire.send(HELLO)
        assert await client.read_exactly(len(HELLO)) == HELLO
        await client.send(HELLO)
        assert await wire.read_exactly(len(HELLO)) == HELLO


async def test_a_client_that_read_nothing_yet_slows_the_tunnel(
    joined: Front, target: Target
) -> None:
    client = await joined.client(receive_buffer=4096)
    await client.send(request("GET", "/", *UPGRADE))
    wire = await target.accept()
    await wire.read_request()
    (connection,) = joined.plane._listener.clients
    ours = connection.transport.get_extra_info("socket")
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    head = SWITCH[:-2] + b"X-Line: y\r\n" * 10_000 + b"\r\n"
    await wire.send(head)
    block = bytes(1 << 20)
    sent = await flood(wire, block, 64 << 20)
    (tunnel,) = joined.plane.tunnels
    assert tunnel._ends[0].transport.get_write_buffer_size() <= len(head) + READ_AT_ONCE
    await client.read_until(b"\r\n\r\n")
    assert await client.read_exactly(sent) == (block * 65)[:sent]
