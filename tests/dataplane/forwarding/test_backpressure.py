"""However slow one side is, what the proxy holds for it stays under a fixed bound."""

import asyncio
import random
import ssl
from typing import Any

import pytest

from hubgate.transport.bounded_reads import READ_AT_ONCE
from tests.dataplane.conftest import StartFront
from tests.dataplane.peers import ANSWER, Front, Target, flood
from tests.dataplane.wire import Wire, request, response

DATA = random.Random(64).randbytes(1 << 20)
MUCH = 64 << 20
"""What a side would send if it were let: far more than all the kernel's buffers on the way."""

HELD = 2 * READ_AT_ONCE
"""What the proxy may hold for one direction: what one read brings, and what it adds to it."""

HELD_OVER_TLS = 512 << 10
"""The same where TLS has buffers of its own."""

CHUNK = b"100000\r\n" + DATA + b"\r\n"


def held(front: Front) -> tuple[int, int]:
    """Return how many bytes the only exchange holds for its client and for its target."""
    (client,) = front.plane._listener.clients
    stream: Any = client._stream
    connection = stream._connection
    waiting = sum(map(len, stream._request.chunks)) + len(client._reader.unread)
    return (
        client.transport.get_write_buffer_size() + len(connection.unread),
        connection.transport.get_write_buffer_size() + waiting,
    )


def cycled(size: int) -> bytes:
    """Return the first `size` bytes of DATA over and over."""
    return (DATA * (size // len(DATA) + 1))[:size]


async def asked(front: Front, target: Target, sent: bytes) -> tuple[Wire, Wire]:
    """Return a client that sent a request, and the target's connection that has its head."""
    client = await front.client(receive_buffer=65536)
    await client.send(sent)
    wire = await target.accept()
    await wire.read_head()
    return client, wire


# --- a client that does not read -------------------------------------------------------------


@pytest.mark.parametrize("framing", ["length", "until close"])
async def test_a_target_is_slowed_down_by_a_slow_client(
    joined: Front, target: Target, framing: str
) -> None:
    client, wire = await asked(joined, target, request("GET", "/"))
    length = [f"Content-Length: {MUCH}"] if framing == "length" else []
    await wire.send(response(200, *length, body=None))
    sent = await flood(wire, DATA, MUCH)
    assert max(held(joined)) < HELD

    # Nothing is lost once the client reads.
    head = await client.read_head()
    if framing == "length":
        assert await client.read_exactly(sent) == cycled(sent)
    else:
        assert head.get("transfer-encoding") == "chunked"
        wire.close()
        assert await client.read_chunked() == cycled(sent)


async def test_a_slow_client_slows_a_chunked_response_down(joined: Front, target: Target) -> None:
    client, wire = await asked(joined, target, request("GET", "/"))
    await wire.send(response(200, "Transfer-Encoding: chunked", body=None))
    sent = await flood(wire, CHUNK, MUCH)
    assert max(held(joined)) < HELD

    await client.read_head()
    rest = CHUNK[sent % len(CHUNK) :] + b"0\r\n\r\n"
    body, _ = await asyncio.gather(client.read_chunked(), wire.send(rest))
    assert body == cycled(len(body))
    assert len(body) == (sent // len(CHUNK) + 1) * len(DATA)


async def test_a_slow_client_over_tls(
    secured: Front, target: Target, client_tls: ssl.SSLContext
) -> None:
    client = await secured.tls_client(client_tls)
    await client.send(request("GET", "/"))
    wire = await target.accept()
    await wire.read_request()
    await wire.send(response(200, f"Content-Length: {MUCH}", body=None))
    sent = await flood(wire, DATA, MUCH)
    assert max(held(secured)) < HELD_OVER_TLS

    await client.read_head()
    assert await client.read_exactly(sent) == cycled(sent)


async def test_a_slow_client_holds_up_nobody_else(joined: Front, target: Target) -> None:
    _, wire = await asked(joined, target, request("GET", "/"))
    await wire.send(response(200, body=None))
    await flood(wire, DATA, MUCH)

    client, other = await asked(joined, target, request("GET", "/other"))
    await other.send(ANSWER)
    assert (await client.read_response()).body == b"hello"


async def test_the_targets_connection_is_as_good_as_new_afterwards(
    joined: Front, target: Target
) -> None:
    client, wire = await asked(joined, target, request("GET", "/"))
    await wire.send(response(200, f"Content-Length: {MUCH}", body=None))
    sent = await flood(wire, DATA, MUCH)
    await client.read_head()
    await client.read_exactly(sent)
    left = MUCH - sent
    _, got = await asyncio.gather(wire.send(bytes(left)), client.read_exactly(left))
    assert got == bytes(left)

    await client.send(request("GET", "/next"))
    assert (await wire.read_request()).path == "/next"
    await wire.send(ANSWER)
    assert (await client.read_response()).body == b"hello"


# --- a target that does not read -------------------------------------------------------------


async def test_a_client_is_slowed_down_by_a_slow_target(joined: Front, target: Target) -> None:
    client, wire = await asked(joined, target, request("PUT", "/", f"Content-Length: {MUCH}"))
    sent = await flood(client, DATA, MUCH)
    assert max(held(joined)) < HELD

    assert await wire.read_exactly(sent) == cycled(sent)


async def test_a_slow_target_slows_a_chunked_request_down(joined: Front, target: Target) -> None:
    client, wire = await asked(joined, target, request("PUT", "/", "Transfer-Encoding: chunked"))
    sent = await flood(client, CHUNK, MUCH)
    assert max(held(joined)) < HELD

    rest = CHUNK[sent % len(CHUNK) :] + b"0\r\n\r\n"
    body, _ = await asyncio.gather(wire.read_chunked(), client.send(rest))
    assert body == cycled(len(body))
    assert len(body) == (sent // len(CHUNK) + 1) * len(DATA)


async def test_a_client_is_held_while_the_target_is_connected(front: Front, target: Target) -> None:
    # The target takes the connection and never goes on with TLS.
    front.route("/", target.url.replace("http", "https"))
    client = await front.client()
    await client.send(request("PUT", "/", f"Content-Length: {MUCH}"))
    await target.accept()
    await flood(client, DATA, MUCH)

    (connection,) = front.plane._listener.clients
    (waiting,) = connection._reader.requests
    assert sum(map(len, waiting.chunks)) < HELD


async def test_a_client_is_held_while_an_error_page_is_fetched(
    start_front: StartFront, target: Target
) -> None:
    front = await start_front(error_target=target.url)
    client = await front.client()
    await client.send(request("PUT", "/nowhere", f"Content-Length: {MUCH}"))
    wire = await target.accept()
    await wire.read_request()
    await flood(client, DATA, MUCH)
    (connection,) = front.plane._listener.clients
    (waiting,) = connection._reader.requests
    assert sum(map(len, waiting.chunks)) < HELD

    await wire.send(ANSWER)
    assert (await client.read_response()).status == 404


async def test_a_slow_target_that_leaves_lets_the_client_go(joined: Front, target: Target) -> None:
    client, wire = await asked(joined, target, request("PUT", "/", f"Content-Length: {MUCH}"))
    await flood(client, DATA, MUCH)
    wire.reset()

    assert (await client.read_response()).status == 503


async def test_a_slow_target_that_answers_lets_the_client_go(joined: Front, target: Target) -> None:
    client, wire = await asked(joined, target, request("PUT", "/", f"Content-Length: {MUCH}"))
    await flood(client, DATA, MUCH)
    await wire.send(response(413, body=b"too much"))
    got = await client.read_response()

    assert (got.status, got.body) == (413, b"too much")
