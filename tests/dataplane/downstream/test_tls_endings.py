"""A side that speaks TLS, and ends or leaves while nothing is read from it."""

import asyncio
import contextlib
import random
import socket
import ssl
from threading import Thread
from typing import Any

import pytest

from hubgate.model import ClientTLS
from tests.certificates.made import Files
from tests.dataplane.conftest import StartFront, StartTarget
from tests.dataplane.peers import Front, Target, url_of
from tests.dataplane.tunnels.tunnels import RAW, RAW_SWITCH, closed, opened
from tests.dataplane.wire import EndedError, TLSWire, Wire, request, response

BLOCK = random.Random(661).randbytes(1 << 14)
LAST = random.Random(66).randbytes(60_000)
MUCH = 64 << 20


@pytest.fixture
async def target(start_target: StartTarget, server_tls: ssl.SSLContext) -> Target:
    return await start_target(tls=server_tls)


async def fill(sender: Wire, transport: asyncio.Transport) -> bytes:
    """Send until what the data plane buffers for the reader is too much; return what was sent."""
    sent = b""
    _, high = transport.get_write_buffer_limits()
    while transport.get_write_buffer_size() <= high:
        await sender.send(BLOCK)
        sent += BLOCK
        assert len(sent) < MUCH
        await asyncio.sleep(0.001)
    return sent


async def end(sender: Wire) -> None:
    assert isinstance(sender, TLSWire)
    await sender.cut_off()
    await asyncio.sleep(0.05)  # the data plane may hear of it, or not


@pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])
@pytest.mark.parametrize("framing", ["until close", "length"])
async def test_a_target_that_ends_while_its_client_is_slow_loses_nothing(
    start_front: StartFront, target: Target, certificates: Files, framing: str
) -> None:
    front = await start_front(config={"client_tls": ClientTLS(ca=certificates.ca)})
    front.route("/", target.url)
    client = await front.client(receive_buffer=4096)
    await client.send(request("GET", "/"))
    wire = await target.accept()
    await wire.read_request()
    (reader,) = front.plane._listener.clients
    length = [] if framing == "until close" else [f"Content-Length: {MUCH}"]
    await wire.send(response(200, "Connection: close", *length, body=None))
    sent = await fill(wire, reader.transport)
    await wire.send(LAST)
    await end(wire)

    await client.read_head()
    if framing == "until close":
        assert await client.read_chunked() == sent + LAST
    else:
        with pytest.raises(EndedError) as ended:  # the target owes the rest
            await client.read_exactly(MUCH)
        assert ended.value.args[0] == sent + LAST


@pytest.mark.parametrize("side", [0, 1], ids=["client", "target"])
async def test_what_a_side_said_last_goes_through_a_tunnel(
    start_front: StartFront,
    target: Target,
    server_settings: dict[str, Any],
    certificates: Files,
    client_tls: ssl.SSLContext,
    side: int,
) -> None:
    front = await start_front(
        config={**server_settings, "client_tls": ClientTLS(ca=certificates.ca)}
    )
    front.route("/", target.url)
    wires = await opened(front, target, raw=True, client=await front.tls_client(client_tls))
    sender, reader = wires[side], wires[not side]
    (tunnel,) = front.plane.tunnels
    sent = await fill(sender, tunnel._ends[not side].transport)
    await sender.send(LAST)
    await end(sender)
    assert await reader.read_rest() == sent + LAST
    await closed(front)


@pytest.mark.parametrize("turns", range(6))
@pytest.mark.parametrize("how", ["end", "reset"])
async def test_a_client_that_leaves_as_its_tunnel_begins_leaves_nothing(
    secured: Front, start_target: StartTarget, client_tls: ssl.SSLContext, turns: int, how: str
) -> None:
    target = await start_target()
    secured.route("/", target.url)
    client = await secured.tls_client(client_tls)
    await client.send(request("GET", "/", *RAW))
    wire = await target.accept()
    await wire.read_request()
    await client.cut_off(reset=how == "reset")
    for _ in range(turns):
        await asyncio.sleep(0)
    wire.send_some(RAW_SWITCH)
    assert await wire.ending() in ("end", "reset")
    wire.close()
    await closed(secured)
    client.close()


def serve_and_end(listener: socket.socket, tls: ssl.SSLContext, head: bytes) -> None:
    """Send a response and the end of the connection at once, to one client after another."""
    with contextlib.suppress(OSError):
        while True:
            plain, _ = listener.accept()
            with tls.wrap_socket(plain, server_side=True) as sock:
                blocks = int(sock.recv(1 << 16).split(b" ")[1][1:])
                sock.sendall(head.replace(b"SIZE", b"%d" % (blocks << 14)) + BLOCK * blocks)
                sock.settimeout(0)
                with contextlib.suppress(OSError):
                    sock.unwrap()  # tells the end, and does not wait for the other side's


@pytest.mark.parametrize("framing", ["until close", "length"])
async def test_the_last_bytes_of_a_target_arrive_if_its_end_comes_with_them(
    start_front: StartFront, server_tls: ssl.SSLContext, certificates: Files, framing: str
) -> None:
    front = await start_front(config={"client_tls": ClientTLS(ca=certificates.ca)})
    length = [] if framing == "until close" else ["Content-Length: SIZE"]
    head = response(200, "Connection: close", *length, body=None)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        front.route("/", url_of(listener).replace("http:", "https:"))
        Thread(target=serve_and_end, args=(listener, server_tls, head), daemon=True).start()
        for blocks in [20, 25, 30, 40, 50, 60, 80] * 8:
            client = await front.client()
            await client.send(request("GET", f"/{blocks}"))
            assert (await client.read_response()).body == BLOCK * blocks
            client.close()
        listener.shutdown(socket.SHUT_RDWR)
