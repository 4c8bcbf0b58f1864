"""What clients see when a target is down, dies half-way or answers nonsense."""

import asyncio
import socket
from typing import Any

import pytest

from hubgate.model import Timeouts
from hubgate.upstream.connection import UpstreamConnection, UpstreamState
from hubgate.upstream.dial import Dialer
from tests.dataplane.conftest import StartFront, StartTarget
from tests.dataplane.peers import (
    Front,
    Target,
    answering,
    until,
    url_of,
    watch_of,
)
from tests.dataplane.wire import EndedError, chunked, request, response

GET = request("GET", "/")


@pytest.fixture
async def front(start_front: StartFront) -> Front:
    """A data plane that does not wait for targets that refuse."""
    return await start_front(timeouts=Timeouts(ready=0, down=0, connect=5))


# --- before the response ---------------------------------------------------------------------


async def test_a_target_that_refuses_is_503(front: Front, refusing: socket.socket) -> None:
    front.route("/", url_of(refusing))
    client = await front.client()
    for _ in range(3):
        await client.send(GET)
        got = await client.read_response()
        assert got.status == 503
        assert got.get("connection") is None


async def test_a_target_that_does_not_answer_the_phone_is_503(
    start_front: StartFront, start_target: StartTarget, server_tls: object
) -> None:
    # Nobody ever takes part in the TLS handshake.
    target = await start_target()
    front = await start_front(timeouts=Timeouts(connect=0.3, ready=0))
    front.route("/", target.url.replace("http", "https"))

    assert (await front.ask("GET", "/")).status == 503


async def test_a_target_that_hangs_up_at_once_is_503(
    front: Front, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end may come before the one who waits for the connection has its turn."""
    connect = Dialer.connect

    async def connect_and_lose(dialer: Dialer, *args: Any) -> UpstreamConnection:
        connection: UpstreamConnection = await connect(dialer, *args)
        (await target.accept()).reset()
        await until(lambda: connection.state is UpstreamState.CLOSED, "it is lost")
        return connection

    monkeypatch.setattr(Dialer, "connect", connect_and_lose)
    front.route("/", target.url)
    assert (await front.ask("GET", "/")).status == 503
    assert (await front.ask("POST", "/", body=b"x")).status == 503


async def test_a_name_that_does_not_resolve_is_503(front: Front) -> None:
    front.route("/", "http://no-such-host.invalid:8000")

    assert (await front.ask("GET", "/")).status == 503


async def test_a_target_of_an_earlier_release_that_is_no_url_is_503_with_the_reason(
    front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    front.route("/a", "http://user:secret@hub:0")

    assert (await front.ask("GET", "/a")).status == 503
    assert "503 GET /a route /a: bad target 'http://...@hub:0': its port is not" in caplog.text
    assert "secret" not in caplog.text


async def test_no_route_is_404(front: Front) -> None:
    front.route("/a", "http://127.0.0.1:1")
    client = await front.client()
    await client.send(request("GET", "/b"))
    got = await client.read_response()
    assert got.status == 404
    assert got.get("connection") is None

    await client.send(request("GET", "/_chp_healthz"))
    assert (await client.read_response()).status == 200


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-", b"SSH-2.0-OpenSSH\r\n"])
@pytest.mark.parametrize("sent", [GET, request("POST", "/", body=b"data")])
async def test_a_target_that_dies_before_its_head_is_503(
    front: Front, start_target: StartTarget, answer: bytes, sent: bytes
) -> None:
    target = await start_target(answering(answer))
    front.route("/", target.url)
    client = await front.client()
    await client.send(sent)
    assert (await client.read_response()).status == 503

    await client.send(request("GET", "/_chp_healthz"))
    assert (await client.read_response()).status == 200
    assert target.accepted == 1


async def test_a_target_that_dies_while_it_is_sent_a_body_is_503(
    front: Front, target: Target
) -> None:
    front.route("/", target.url)
    client = await front.client()
    await client.send(request("PUT", "/", "Content-Length: 1000000") + bytes(1000))
    wire = await target.accept()
    await wire.read_head()
    wire.reset()
    got = await client.read_response()

    assert got.status == 503
    assert got.get("connection") == "close"


async def test_a_target_that_dies_after_hints_is_503(front: Front, target: Target) -> None:
    front.route("/", target.url)
    client = await front.client()
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    await wire.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
    assert (await client.read_response()).status == 103
    wire.close()

    assert (await client.read_response()).status == 503


# --- in the response's body ------------------------------------------------------------------

HALVES = {
    "length": response(200, "Content-Length: 10", body=None) + b"hello",
    "chunked": response(200, "Transfer-Encoding: chunked", body=None) + chunked(b"hello")[:-5],
    "inside a chunk": response(200, "Transfer-Encoding: chunked", body=None) + b"a\r\nhello",
    "chunked, all but the last byte": response(200, "Transfer-Encoding: chunked", body=None)
    + chunked(b"hello")[:-1],
    "head only": response(200, "Content-Length: 10", body=None),
}


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES.keys())
async def test_a_response_that_breaks_off_never_looks_complete(
    front: Front, target: Target, half: bytes, how: str
) -> None:
    front.route("/", target.url)
    client = await front.client()
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    await wire.send(half)
    await client.read_head()
    wire.close() if how == "close" else wire.reset()

    with pytest.raises((EndedError, ConnectionResetError)):
        await client.read_chunked() if b"chunked" in half else await client.read_exactly(10)


async def test_a_reset_before_the_end_of_a_body_until_close(front: Front, target: Target) -> None:
    front.route("/", target.url)
    client = await front.client()
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    await wire.send(response(200, body=None) + b"hello")
    await client.read_head()
    assert await client.read_chunk() == b"hello"
    wire.reset()

    with pytest.raises((EndedError, ConnectionResetError)):
        await client.read_chunk()


@pytest.mark.parametrize("half", [HALVES["chunked"], response(200, body=None) + b"hello"])
async def test_http_10_sees_a_reset_where_an_end_would_look_complete(
    front: Front, target: Target, half: bytes
) -> None:
    front.route("/", target.url)
    client = await front.client()
    await client.send(b"GET / HTTP/1.0\r\n\r\n")
    wire = await target.accept()
    await wire.read_request()
    await wire.send(half)
    await client.read_head()
    assert await client.read_exactly(5) == b"hello"
    wire.reset()

    assert await client.ending() == "reset"


async def test_a_chunk_that_is_none_breaks_the_response(front: Front, target: Target) -> None:
    front.route("/", target.url)
    client = await front.client()
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    await wire.send(HALVES["chunked"])
    await client.read_head()
    assert await client.read_chunk() == b"hello"
    await wire.send(b"nonsense\r\n")

    with pytest.raises((EndedError, ConnectionResetError)):
        await client.read_chunk()
    assert await wire.ending() in ("end", "reset")


# --- silence ---------------------------------------------------------------------------------


async def test_a_silent_target_is_503(start_front: StartFront, target: Target) -> None:
    front = await start_front(timeouts=Timeouts(response=0.3))
    front.route("/", target.url)

    assert (await front.ask("GET", "/")).status == 503
    assert await target.wires[0].drain() in ("end", "reset")


async def test_a_target_that_falls_silent_breaks_the_response(
    start_front: StartFront, target: Target
) -> None:
    front = await start_front(timeouts=Timeouts(response=0.3))
    front.route("/", target.url)
    client = await front.client()
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    await wire.send(HALVES["length"])
    await client.read_head()

    with pytest.raises((EndedError, ConnectionResetError)):
        await client.read_exactly(10)


async def test_a_target_that_keeps_talking_is_not_silent(
    start_front: StartFront, target: Target
) -> None:
    front = await start_front(timeouts=Timeouts(response=30))
    front.route("/", target.url)
    client = await front.client()
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    await wire.send(response(200, "Content-Length: 10", body=None))
    await client.read_head()
    watch = watch_of(front)
    for _ in range(5):
        before = watch._upstream = asyncio.get_running_loop().time() - 20
        await wire.send(b"x")
        await client.read_exactly(1)
        assert watch._upstream > before
