"""Websockets and other upgrades: bytes both ways, untouched, however they come and end."""

import asyncio
import random
import ssl

import pytest

from proxy.dataplane import tunnel
from proxy.tasks import spawn
from tests.dataplane.conftest import StartFront, StartTarget
from tests.dataplane.frames import (
    BINARY,
    CLOSE,
    MASK,
    PING,
    PONG,
    TEXT,
    frame,
    read_frame,
)
from tests.dataplane.peers import Front, Target, flood, hello, open_files, until
from tests.dataplane.wire import Wire, request, response

UPGRADE = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: a2V5"]
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
RAW = ["Connection: upgrade", "Upgrade: tcp"]
RAW_SWITCH = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
HELLO = frame(TEXT, b"hello", mask=MASK)


async def opened(
    front: Front, target: Target, *, raw: bool = False, client: Wire | None = None
) -> tuple[Wire, Wire]:
    """Return both ends of a new tunnel."""
    client = client or await front.client()
    await client.send(request("GET", "/ws", *(RAW if raw else UPGRADE)))
    wire = await target.accept()
    await wire.read_request()
    await wire.send(RAW_SWITCH if raw else SWITCH)
    assert (await client.read_response()).status == 101
    return client, wire


async def closed(front: Front) -> None:
    """Wait until there is neither tunnel nor client left."""
    await until(lambda: not front.plane.tunnels, "the tunnel is closed")
    await until(lambda: front.open == 0, "the connection is not counted any more")


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


async def test_over_tls(
    start_front: StartFront,
    target: Target,
    client_tls: ssl.SSLContext,
    server_settings: dict[str, object],
) -> None:
    front = await start_front(config=server_settings)
    front.route("/", target.url)
    client, wire = await opened(front, target, client=await front.tls_client(client_tls))
    assert target.wires[0] is wire
    data = random.Random(6).randbytes(1 << 20)
    _, got = await asyncio.gather(client.send(data), wire.read_exactly(len(data)))
    assert got == data
    _, got = await asyncio.gather(wire.send(data), client.read_exactly(len(data)))
    assert got == data

    client.close()
    assert await wire.ending() == "end"
    wire.close()
    await closed(front)


async def test_over_tls_the_targets_end_is_the_clients(
    start_front: StartFront,
    target: Target,
    client_tls: ssl.SSLContext,
    server_settings: dict[str, object],
) -> None:
    front = await start_front(config=server_settings)
    front.route("/", target.url)
    client, wire = await opened(front, target, client=await front.tls_client(client_tls))
    await wire.send(b"last words")
    wire.close()

    assert await client.read_rest() == b"last words"
    await closed(front)


# --- back-pressure ---------------------------------------------------------------------------

DATA = random.Random(65).randbytes(1 << 20)
MUCH = 64 << 20


@pytest.mark.parametrize("direction", ["to the target", "to the client"])
async def test_a_slow_reader_slows_the_writer_down(
    joined: Front, target: Target, direction: str
) -> None:
    client, wire = await opened(joined, target, raw=True)
    writer, reader = (client, wire) if direction == "to the target" else (wire, client)
    sent = await flood(writer, DATA, MUCH)
    (tunnel,) = joined.plane.tunnels
    assert max(end.transport.get_write_buffer_size() for end in tunnel._ends) < 512 << 10

    # The other direction is not held up, and nothing is lost.
    await reader.send(b"other way")
    assert await writer.read_exactly(9) == b"other way"
    assert await reader.read_exactly(sent) == (DATA * (sent // len(DATA) + 1))[:sent]
    await writer.send(b"on it goes")
    assert await reader.read_exactly(10) == b"on it goes"


# --- the end ---------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["client", "target"])
@pytest.mark.parametrize("raw", [False, True])
async def test_one_side_may_end_while_the_other_goes_on(
    joined: Front, target: Target, first: str, raw: bool
) -> None:
    client, wire = await opened(joined, target, raw=raw)
    ending, other = (client, wire) if first == "client" else (wire, client)
    await ending.send(b"last words")
    ending.half_close()
    assert await other.read_rest() == b"last words"

    for number in range(5):
        await other.send(b"%d" % number)
        assert await ending.read_exactly(1) == b"%d" % number
    other.close()
    assert await ending.ending() == "end"
    await closed(joined)


async def test_a_half_closed_tunnel_stays_while_something_moves(
    joined: Front, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tunnel, "LINGER", 1.5)
    client, wire = await opened(joined, target, raw=True)
    client.half_close()
    assert await wire.read() == b""
    for _ in range(30):
        await wire.send(b"x")
        assert await client.read_exactly(1) == b"x"
        await asyncio.sleep(0.1)

    assert await wire.drain() in ("end", "reset")  # and then it does not
    await closed(joined)


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("side", ["client", "target"])
async def test_the_loss_of_one_side_closes_the_other(
    joined: Front, target: Target, side: str, how: str, raw: bool
) -> None:
    client, wire = await opened(joined, target, raw=raw)
    lost, left = (client, wire) if side == "client" else (wire, client)
    lost.close() if how == "close" else lost.reset()

    assert await left.ending() in ("end", "reset")
    left.close()
    await closed(joined)


@pytest.mark.parametrize("side", ["client", "target"])
async def test_what_was_sent_before_the_loss_still_arrives(
    joined: Front, target: Target, side: str
) -> None:
    client, wire = await opened(joined, target)
    lost, left = (client, wire) if side == "client" else (wire, client)
    data = random.Random(8).randbytes(200000)
    await lost.send(data)
    lost.close()

    assert await left.read_rest() == data


@pytest.mark.parametrize("side", ["client", "target"])
async def test_the_loss_of_a_slow_side_lets_the_other_go(
    joined: Front, target: Target, side: str
) -> None:
    client, wire = await opened(joined, target, raw=True)
    lost, left = (client, wire) if side == "client" else (wire, client)
    await flood(left, DATA, MUCH)
    lost.reset()

    assert await left.drain() in ("end", "reset")
    left.close()
    await closed(joined)


@pytest.mark.parametrize("side", ["client", "target"])
async def test_a_loss_is_noticed_though_the_other_side_does_not_read(
    joined: Front, target: Target, monkeypatch: pytest.MonkeyPatch, side: str
) -> None:
    monkeypatch.setattr(tunnel, "LINGER", 0.5)
    client, wire = await opened(joined, target, raw=True)
    lost, stuck = (client, wire) if side == "client" else (wire, client)
    await flood(lost, DATA, MUCH)
    lost.reset()

    await closed(joined)
    assert await stuck.drain() in ("end", "reset")


async def test_a_side_that_does_not_read_is_waited_for(
    joined: Front, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tunnel, "LINGER", 0.3)
    client, wire = await opened(joined, target, raw=True)
    sent = await flood(client, DATA, MUCH)
    await asyncio.sleep(1.5)  # longer than the limit and the sweep's pause together

    assert await wire.read_exactly(sent) == (DATA * (sent // len(DATA) + 1))[:sent]


async def test_a_removed_route_lets_its_tunnels_finish(joined: Front, target: Target) -> None:
    client, wire = await opened(joined, target)
    joined.table.apply((), ["/"])
    await client.send(HELLO)

    assert await wire.read_exactly(len(HELLO)) == HELLO
    assert (await joined.ask("GET", "/")).status == 404


# --- draining --------------------------------------------------------------------------------

GOODBYE = (1001).to_bytes(2, "big")


async def test_draining_says_goodbye_to_both_sides(joined: Front, target: Target) -> None:
    client, wire = await opened(joined, target)
    await client.send(HELLO)
    await wire.read_exactly(len(HELLO))
    await joined.plane.drain(10)

    goodbye = await read_frame(client)
    assert (goodbye.kind, goodbye.payload, goodbye.masked) == (CLOSE, GOODBYE, False)
    assert await client.ending() == "end"
    goodbye = await read_frame(wire)
    assert (goodbye.kind, goodbye.payload, goodbye.masked) == (CLOSE, GOODBYE, True)
    assert await wire.ending() == "end"


@pytest.mark.parametrize("side", ["client", "target"])
@pytest.mark.parametrize("cut", [1, 3, 100])
async def test_a_goodbye_never_comes_inside_a_frame(
    start_front: StartFront, target: Target, side: str, cut: int
) -> None:
    front = await start_front()
    front.route("/", target.url)
    client, wire = await opened(front, target)
    long = frame(BINARY, b"x" * 200, mask=MASK if side == "client" else None)
    sender, reader = (client, wire) if side == "client" else (wire, client)
    await sender.send(long[:cut])
    assert await reader.read_exactly(cut) == long[:cut]
    draining = spawn(front.plane.drain(30), "drain")

    # Towards the sender nothing was cut: it hears at once, and may finish what it says.
    assert (await read_frame(sender)).kind == CLOSE
    await sender.send(long[cut:] + frame(TEXT, b"too late"))
    assert await reader.read_exactly(len(long) - cut) == long[cut:]
    rest = await reader.read_rest()
    end = frame(CLOSE, GOODBYE) if side == "target" else frame(CLOSE, GOODBYE, mask=bytes(4))
    assert rest in (end, frame(TEXT, b"too late") + end)
    await draining


async def test_a_tunnel_of_another_protocol_just_ends(joined: Front, target: Target) -> None:
    client, wire = await opened(joined, target, raw=True)
    await client.send(b"data")
    await wire.read_exactly(4)
    await joined.plane.drain(10)

    assert await client.ending() == "end"
    assert await wire.ending() == "end"


async def test_a_frame_that_never_ends_is_cut_off_in_time(joined: Front, target: Target) -> None:
    client, wire = await opened(joined, target)
    await client.send(HELLO[:-1])
    await wire.read_exactly(len(HELLO) - 1)
    await joined.plane.drain(0.3)

    assert await wire.drain() in ("end", "reset")
    assert await client.drain() in ("end", "reset")
    await closed(joined)


async def test_a_tunnel_that_opens_while_draining_is_told_too(
    joined: Front, target: Target
) -> None:
    client = await joined.client()
    await client.send(request("GET", "/ws", *UPGRADE))
    wire = await target.accept()
    await wire.read_request()
    draining = spawn(joined.plane.drain(30), "drain")
    await asyncio.sleep(0.1)
    await wire.send(SWITCH)

    assert (await client.read_response()).status == 101
    assert (await read_frame(client)).kind == CLOSE
    await draining


# --- activity --------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["client", "target"])
@pytest.mark.parametrize(
    ("kind", "active"), [(TEXT, True), (BINARY, True), (PING, False), (PONG, False), (CLOSE, False)]
)
async def test_data_frames_are_activity(
    joined: Front, target: Target, side: str, kind: int, active: bool
) -> None:
    client, wire = await opened(joined, target)
    sender, reader = (client, wire) if side == "client" else (wire, client)
    joined.plane.report()
    data = frame(kind, b"x" * 20, mask=MASK if side == "client" else None)
    await sender.send(data)
    await reader.read_exactly(len(data))

    assert ("/" in joined.plane.report().activity) is active


async def test_every_byte_of_another_protocol_is_activity(joined: Front, target: Target) -> None:
    client, wire = await opened(joined, target, raw=True)
    joined.plane.report()
    await wire.send(frame(PING))
    await client.read_exactly(2)

    assert "/" in joined.plane.report().activity


async def test_tunnels_are_counted(joined: Front, target: Target) -> None:
    await opened(joined, target)
    client, wire = await opened(joined, target)
    report = joined.plane.report()
    assert (report.connections, report.tunnels) == (2, 2)
    assert report.counters["requests_ws"] == 2
    assert report.counters["requests_proxy:101"] == 2

    client.close()
    wire.close()
    await until(lambda: joined.plane.report().tunnels == 1, "one is gone")


# --- in numbers ------------------------------------------------------------------------------

ROUNDS = 200


async def nothing_left(front: Front, files: int) -> None:
    front.plane.pool.close()
    await closed(front)
    await until(lambda: open_files() <= files, "no socket is left")


async def test_tunnels_leave_nothing_open(front: Front, start_target: StartTarget) -> None:
    async def serve(wire: Wire) -> None:
        await wire.read_request()
        await wire.send(SWITCH)
        await wire.send(await wire.read_exactly(len(HELLO)))
        await wire.read_rest()

    target = await start_target(serve)
    front.route("/", target.url)
    files = open_files()
    for number in range(ROUNDS):
        client = await front.client()
        await client.send(request("GET", "/", *UPGRADE) + HELLO)
        await client.read_response()
        assert await client.read_exactly(len(HELLO)) == HELLO
        client.reset() if number % 2 else client.close()

    await nothing_left(front, files)


async def test_refused_upgrades_leave_nothing_open(front: Front, start_target: StartTarget) -> None:
    target = await start_target(hello)
    front.route("/", target.url)
    files = open_files()
    for number in range(ROUNDS):
        client = await front.client()
        await client.send(request("GET", "/", *UPGRADE) + (HELLO if number % 2 else b""))
        assert (await client.read_response()).body == b"hello"
        client.close()

    await nothing_left(front, files)


async def test_upgrades_to_dead_targets_leave_nothing_open(
    front: Front, start_target: StartTarget
) -> None:
    async def die(wire: Wire) -> None:
        await wire.read_request()

    target = await start_target(die)
    front.route("/", target.url)
    files = open_files()
    for _ in range(ROUNDS):
        client = await front.client()
        await client.send(request("GET", "/", *UPGRADE))
        assert (await client.read_response()).status == 503
        client.close()

    await nothing_left(front, files)
