"""Two things that come to the data plane in the same moment, in whichever order."""

import asyncio
import socket
from dataclasses import replace
from typing import Any

import pytest

from hubgate.dataplane.downstream import connection as connection_module
from hubgate.model import ForwardRules, Timeouts
from hubgate.transport.flow import WRITE_BUFFER
from tests.dataplane.conftest import StartFront, StartTarget
from tests.dataplane.peers import ANSWER, Front, Target, until
from tests.dataplane.tunnels.tunnels import RAW, RAW_SWITCH, closed
from tests.dataplane.wire import Wire, request, response

GET = request("GET", "/")
PIECE = b"2000\r\n" + bytes(0x2000) + b"\r\n"


async def test_an_early_answer_comes_through_though_more_body_comes(
    joined: Front, target: Target
) -> None:
    client = await joined.client()
    await client.send(request("PUT", "/big", "Content-Length: 100000000") + bytes(1000))
    wire = await target.accept()
    await wire.read_head()
    await client.send(bytes(1000))
    await asyncio.sleep(0.02)  # what is unread makes the target's end a reset
    client.send_some(bytes(1000))
    wire.send_some(response(413, "Connection: close", body=b"too much"))
    wire.close()

    got = await client.read_response()
    assert (got.status, got.body) == (413, b"too much")
    client.close()


async def test_a_switch_that_was_not_read_before_the_target_was_lost_leaves_nothing(
    joined: Front, target: Target
) -> None:
    client = await joined.client()
    await client.send(request("GET", "/", *RAW))
    wire = await target.accept()
    await wire.read_request()
    (reading,) = joined.plane._listener.clients
    stream: Any = reading._stream
    upstream = stream._connection.transport
    upstream.pause_reading()
    await wire.send(RAW_SWITCH)
    upstream._force_close(ConnectionResetError())  # as a failed write does
    assert (await client.read_response()).status == 101
    assert await client.ending() in ("end", "reset")
    await closed(joined)


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_body_is_not_sent_to_a_target_that_has_just_gone(
    joined: Front, target: Target, how: str
) -> None:
    client = await joined.client()
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    await wire.send(ANSWER)
    assert (await client.read_response()).status == 200
    await until(lambda: "1 idle" in repr(joined.plane.pool), "it is kept")
    client.send_some(request("POST", "/", body=b"data"))
    wire.close() if how == "close" else wire.reset()

    wire = await target.accept()
    assert (await wire.read_request()).body == b"data"
    await wire.send(ANSWER)
    assert (await client.read_response()).status == 200


async def test_a_client_that_leaves_as_its_error_page_comes_disturbs_nobody(
    start_front: StartFront, start_target: StartTarget
) -> None:
    pages: list[Wire] = []

    async def answer(wire: Wire) -> None:
        while True:
            if (await wire.read_request()).path.startswith("/error"):
                pages.append(wire)
            else:
                await wire.send(ANSWER)

    target = await start_target(answer)
    front = await start_front(error_target=f"{target.url}/error")
    front.route("/there", target.url)
    for _ in range(5):
        one, other = await front.client(), await front.client()
        await one.send(request("GET", "/nowhere"))
        await until(lambda: pages, "the page is asked for")
        one.reset()
        pages.pop().send_some(response(404, body=b"page"))
        other.send_some(request("GET", "/there"))
        assert (await other.read_response()).body == b"hello"
        front.plane.error_pages._kept.clear()


async def test_a_connection_with_an_unsent_body_is_not_used_again(
    joined: Front, target: Target
) -> None:
    target._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client = await joined.client()
    await client.send(request("PUT", "/", "Transfer-Encoding: chunked"))
    wire = await target.accept()
    await wire.read_head()
    (reading,) = joined.plane._listener.clients
    stream: Any = reading._stream
    upstream = stream._connection.transport
    # Or the end of the body would not be read while some of it is unsent.
    upstream.set_write_buffer_limits(WRITE_BUFFER)
    while not upstream.get_write_buffer_size():
        await client.send(PIECE)
        await asyncio.sleep(0.001)
    await client.send(b"0\r\n\r\n")
    await until(lambda: reading._reader.requests[0].ended, "all of it is there")
    await wire.send(ANSWER)

    assert (await client.read_response()).status == 200
    assert repr(joined.plane.pool) == "<Pool 0 idle>"


@pytest.mark.real_time
async def test_a_client_that_never_reads_the_end_of_its_answer_is_closed(
    start_front: StartFront, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "SEND_TIMEOUT", 0.2)
    front = await start_front(timeouts=Timeouts(keep_alive=0.2))
    front.route("/", target.url)
    front._listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 14)
    client = await front.client(receive_buffer=4096)
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    await wire.send(response(200, body=bytes(120_000)))
    await until(lambda: front.open, "it is there")
    await until(lambda: not front.open, "it is closed")
    client.close()


async def test_a_page_fetched_over_a_reload_leaves_no_connection(
    start_front: StartFront, target: Target
) -> None:
    front = await start_front(error_target=f"{target.url}/error")
    client = await front.client()
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    rules = ForwardRules(error_target=f"{target.url}/other")
    await front.plane.reconfigure(replace(front.config, rules=rules))
    await wire.send(response(404, body=b"page"))

    assert (await client.read_response()).body == b"page"
    assert await wire.ending() in ("end", "reset")
