"""A client that leaves takes its request to the target with it."""

import asyncio
import contextlib
import socket
import ssl

import pytest

from hubgate.model import Timeouts
from tests.dataplane.conftest import StartFront, StartTarget
from tests.dataplane.peers import (
    ANSWER,
    Front,
    Target,
    echo,
    exchange,
    open_files,
    unread_answer,
    until,
    url_of,
)
from tests.dataplane.wire import Wire, chunked, request, response

GET = request("GET", "/")
WAYS = ["close", "reset", "half-close"]


def leave(wire: Wire, how: str) -> None:
    """Leave in one of the WAYS."""
    if how == "close":
        wire.close()
    elif how == "reset":
        wire.reset()
    else:
        wire.half_close()


async def gone(front: Front) -> None:
    """Wait until no client is left."""
    await until(lambda: front.open == 0, "the client is gone")


@pytest.mark.parametrize("how", WAYS)
async def test_while_the_target_thinks(joined: Front, target: Target, how: str) -> None:
    client = await joined.client()
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    leave(client, how)

    assert await wire.ending() in ("end", "reset")
    await gone(joined)


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_in_the_middle_of_an_upload(
    joined: Front, target: Target, how: str, framing: str
) -> None:
    client = await joined.client()
    line = "Content-Length: 10" if framing == "length" else "Transfer-Encoding: chunked"
    await client.send(
        request("PUT", "/", line) + (b"hello" if framing == "length" else b"5\r\nhel")
    )
    wire = await target.accept()
    await wire.read_head()
    leave(client, how)

    # Whatever came of the body, it must not look complete.
    rest = b""
    with contextlib.suppress(ConnectionError):
        rest = await wire.read_rest()
    assert not rest.endswith(b"0\r\n\r\n")
    await gone(joined)


@pytest.mark.parametrize("how", WAYS)
async def test_in_the_middle_of_a_download(joined: Front, target: Target, how: str) -> None:
    client = await joined.client()
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    await wire.send(response(200, "Content-Length: 10", body=None) + b"hello")
    await client.read_head()
    leave(client, how)

    assert await wire.ending() in ("end", "reset")
    await gone(joined)


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_with_unread_megabytes_on_the_way(joined: Front, target: Target, how: str) -> None:
    client = await joined.client()
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    await wire.send(response(200, "Content-Length: 100000000", body=None))
    for _ in range(20):
        wire.send_some(bytes(1 << 20))
        await asyncio.sleep(0.01)
    leave(client, how)

    assert await wire.drain() in ("end", "reset")
    await gone(joined)


@pytest.mark.parametrize("opening", [b"GET / HTTP/1.0\r\n\r\n", GET])
async def test_who_has_closed_the_sending_side_gets_no_end_that_looks_like_a_bodys(
    joined: Front, target: Target, opening: bytes
) -> None:
    client = await joined.client()
    await client.send(opening)
    wire = await target.accept()
    await wire.read_request()
    await wire.send(response(200, body=None) + b"half of it")
    await client.read_until(b"half of it")
    client.half_close()

    assert await client.drain() == "reset"
    assert await wire.ending() in ("end", "reset")
    await gone(joined)


async def test_who_has_closed_the_sending_side_and_does_not_read_holds_nothing_open(
    joined: Front, target: Target
) -> None:
    client, wire = await unread_answer(joined, target)
    client.half_close()

    # What is buffered for the client keeps neither connection.
    assert await wire.drain() in ("end", "reset")
    await gone(joined)


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_while_events_come(joined: Front, target: Target, how: str) -> None:
    client = await joined.client()
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    await wire.send(response(200, body=None) + b"data: 1\n\n")
    await client.read_head()
    assert await client.read_chunk() == b"data: 1\n\n"
    leave(client, how)

    assert await wire.ending() in ("end", "reset")
    await gone(joined)


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_while_the_target_is_being_connected(
    start_front: StartFront, target: Target, how: str
) -> None:
    # The target takes the connection and never goes on with TLS.
    front = await start_front(timeouts=Timeouts(connect=60))
    front.route("/", target.url.replace("http", "https"))
    client = await front.client()
    await client.send(GET)
    wire = await target.accept()
    leave(client, how)

    assert await wire.drain() in ("end", "reset")
    await gone(front)


async def test_before_its_request_is_complete(joined: Front, target: Target) -> None:
    client = await joined.client()
    await client.send(GET[:-2])
    await until(lambda: joined.open == 1, "it is there")
    client.close()

    await gone(joined)
    assert target.accepted == 0


async def test_while_an_error_page_is_fetched(start_front: StartFront, target: Target) -> None:
    front = await start_front(error_target=target.url)
    client = await front.client()
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    client.close()

    assert await wire.ending() in ("end", "reset")
    await gone(front)


async def test_with_requests_in_the_queue(joined: Front, target: Target) -> None:
    client = await joined.client()
    await client.send(GET * 3)
    wire = await target.accept()
    await wire.read_request()
    client.reset()
    # Nothing is read while requests wait, so the loss shows when the answer is written.
    await wire.send(ANSWER)

    await gone(joined)
    assert target.accepted == 1


async def test_with_requests_in_the_queue_and_no_answer_in_sight(
    start_front: StartFront, target: Target
) -> None:
    front = await start_front(timeouts=Timeouts(body=0.3))
    front.route("/", target.url)
    client = await front.client()
    await client.send(GET * 3)
    wire = await target.accept()
    await wire.read_request()
    await asyncio.sleep(1.2)  # one that stays may wait for longer than the limit
    assert front.open == 1
    client.close()

    assert await wire.ending() in ("end", "reset")
    await gone(front)


async def test_others_are_not_disturbed(joined: Front, target: Target) -> None:
    clients = [await joined.client() for _ in range(4)]
    wires = []
    for client in clients:
        await client.send(GET)
        wires.append(await target.accept())
        await wires[-1].read_request()
    clients[0].close()
    clients[2].reset()
    assert await wires[0].ending() in ("end", "reset")
    assert await wires[2].ending() in ("end", "reset")

    for place in (1, 3):
        await wires[place].send(ANSWER)
        assert (await clients[place].read_response()).body == b"hello"


async def test_a_connection_whose_client_left_is_never_used_again(
    joined: Front, target: Target
) -> None:
    client = await joined.client()
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    client.close()
    await gone(joined)
    _, got = await exchange(joined, target, request("GET", "/next"))
    assert got.body == b"hello"
    assert target.accepted == 2


async def test_over_tls(secured: Front, target: Target, client_tls: ssl.SSLContext) -> None:
    for how in ("close", "reset"):
        client = await secured.tls_client(client_tls)
        await client.send(GET)
        wire = await target.accept()
        await wire.read_request()
        leave(client, how)
        assert await wire.ending() in ("end", "reset")
    await gone(secured)


# --- in numbers ------------------------------------------------------------------------------

ROUNDS = 300


@pytest.fixture
async def echoing(front: Front, start_target: StartTarget) -> Front:
    """A data plane in front of a target that answers everything."""
    target = await start_target(echo)
    front.route("/", target.url)
    return front


async def nothing_left(front: Front, files: int) -> None:
    """Wait until there are as many open files as there were, and no client."""
    front.plane.connector.close()
    await until(lambda: front.open == 0, "no client is left")
    await until(lambda: open_files() <= files, "no socket is left")


async def test_aborted_downloads_leave_nothing_open(
    front: Front, start_target: StartTarget
) -> None:
    async def endless(wire: Wire) -> None:
        await wire.read_request()
        await wire.send(response(200, "Transfer-Encoding: chunked", body=None))
        while True:
            await wire.send(chunked(bytes(1000))[:-5])
            await asyncio.sleep(0.001)

    target = await start_target(endless)
    front.route("/", target.url)
    files = open_files()
    for number in range(ROUNDS):
        client = await front.client()
        await client.send(GET)
        await client.read_head()
        client.reset() if number % 2 else client.close()
    await until(
        lambda: all(wire.socket.fileno() < 0 for wire in target.wires), "the target sees it"
    )

    await nothing_left(front, files)
    assert target.accepted == ROUNDS


async def test_aborted_uploads_leave_nothing_open(echoing: Front) -> None:
    files = open_files()
    for number in range(ROUNDS):
        client = await echoing.client()
        await client.send(request("PUT", "/", "Content-Length: 1000000") + bytes(5000))
        client.reset() if number % 2 else client.close()

    await nothing_left(echoing, files)


async def test_down_targets_leave_nothing_open(
    start_front: StartFront, refusing: socket.socket
) -> None:
    front = await start_front(timeouts=Timeouts(ready=0, down=0))
    front.route("/", url_of(refusing))
    files = open_files()
    for _ in range(ROUNDS):
        assert (await front.ask("GET", "/")).status == 503

    await nothing_left(front, files)


async def test_requests_nobody_waits_for_leave_nothing_open(echoing: Front) -> None:
    files = open_files()
    for _ in range(ROUNDS):
        client = await echoing.client()
        await client.send(GET)
        client.close()

    await nothing_left(echoing, files)


async def test_malformed_requests_leave_nothing_open(echoing: Front) -> None:
    files = open_files()
    for _ in range(ROUNDS):
        client = await echoing.client()
        await client.send(b"nonsense\r\n\r\n")
        assert (await client.read_response()).status == 400
        client.close()

    await nothing_left(echoing, files)
