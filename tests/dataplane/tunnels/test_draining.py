"""Tunnels while the proxy drains, and what counts as their activity."""

import asyncio

import pytest

from hubgate.tasks import spawn
from tests.dataplane.conftest import StartFront
from tests.dataplane.peers import Front, Target, until
from tests.dataplane.tunnels.frames import MASK, read_frame
from tests.dataplane.tunnels.tunnels import HELLO, SWITCH, UPGRADE, closed, opened
from tests.dataplane.wire import request
from tests.frames import BINARY, CLOSE, PING, PONG, TEXT, frame

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
