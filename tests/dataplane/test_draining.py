"""An end that loses no request: a close is announced, and what cannot be waited for is named."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from hubgate.dataplane import plane as plane_module
from hubgate.dataplane.downstream import connection as connection_module
from hubgate.dataplane.downstream.connection import DownstreamConnection, DownstreamState
from hubgate.model import Timeouts
from hubgate.tasks import spawn
from tests.dataplane.conftest import StartFront
from tests.dataplane.peers import ANSWER, Front, Target, unread_answer, until, url_of
from tests.dataplane.tunnels.tunnels import opened
from tests.dataplane.wire import PATIENCE, EndedError, Wire, request, response

GET = request("GET", "/")
KEPT_10 = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
HALF = response(200, "Content-Length: 10", body=None) + b"hello"
CHUNKED = response(200, "Transfer-Encoding: chunked", body=None) + b"5\r\nhello\r\n"


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no connection become idle while a test runs."""
    monkeypatch.setattr(connection_module, "_LAST_REQUEST", PATIENCE)


def connections(front: Front) -> list[DownstreamConnection]:
    return list(front.plane._listener.clients)


async def all_told(front: Front) -> None:
    """Wait until every connection knows that it is to close."""
    await until(lambda: all(client.closing for client in connections(front)), "all are told")


def draining(front: Front) -> "asyncio.Task[None]":
    return spawn(front.plane.drain(60), "drain")


def retiring(front: Front) -> "asyncio.Task[None]":
    return spawn(front.plane.retire(60), "retire")


ENDINGS = [draining, retiring]
End = Callable[[Front], "asyncio.Task[None]"]


# --- a close is announced --------------------------------------------------------------------


@pytest.mark.parametrize("sent", [GET, KEPT_10], ids=["1.1", "1.0"])
@pytest.mark.parametrize("end", ENDINGS)
async def test_whose_head_has_gone_out_is_asked_for_one_more(
    joined: Front, target: Target, patient: None, sent: bytes, end: End
) -> None:
    client = await joined.client()
    await client.send(sent)
    wire = await target.accept()
    await wire.read_request()
    await wire.send(HALF)
    first = await client.read_head()
    assert first.get("connection") == (None if sent is GET else "keep-alive")
    ending = end(joined)
    await all_told(joined)
    await wire.send(b"again")
    assert await client.read_exactly(10) == b"helloagain"

    await client.send(sent)
    await wire.read_request()
    await wire.send(ANSWER)
    last = await client.read_response()
    assert (last.body, last.get("connection")) == (b"hello", "close")
    assert await client.ending() == "end"
    client.close()
    await asyncio.wait_for(ending, PATIENCE)


@pytest.mark.parametrize("end", ENDINGS)
async def test_a_response_of_our_own_says_it_too(
    joined: Front, target: Target, patient: None, end: End
) -> None:
    client = await joined.client()
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    ending = end(joined)
    await all_told(joined)
    wire.close()
    last = await client.read_response()
    assert (last.status, last.get("connection")) == (503, "close")
    assert await client.ending() == "end"
    client.close()
    await asyncio.wait_for(ending, PATIENCE)


@pytest.mark.parametrize("end", ENDINGS)
async def test_over_tls_too(
    secured: Front, target: Target, client_tls: ssl.SSLContext, patient: None, end: End
) -> None:
    client = await secured.tls_client(client_tls)
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    await wire.send(CHUNKED)
    assert (await client.read_head()).get("connection") is None
    assert await client.read_chunk() == b"hello"
    ending = end(secured)
    await all_told(secured)
    await wire.send(b"0\r\n\r\n")
    assert await client.read_chunk() == b""

    await client.send(request("GET", "/_chp_healthz"))
    assert (await client.read_response()).get("connection") == "close"
    assert await client.ending() == "end"
    client.close()
    ending.cancel()  # over TLS, handshakes may be under way


@pytest.mark.parametrize("end", ENDINGS)
async def test_the_next_one_in_a_pipeline_is_served_and_the_rest_is_not_begun(
    joined: Front, target: Target, patient: None, end: End
) -> None:
    client = await joined.client()
    await client.send(b"".join(request("GET", f"/{number}") for number in range(20)))
    wire = await target.accept()
    await wire.read_request()
    await wire.send(HALF)
    await client.read_head()
    # Nothing is read while requests wait: this stays with the kernel.
    await client.send(GET * 20)
    ending = end(joined)
    await all_told(joined)
    await wire.send(b"again")
    assert (await wire.read_request()).path == "/1"
    await wire.send(ANSWER)

    assert await client.read_exactly(10) == b"helloagain"
    last = await client.read_response()
    assert (last.body, last.get("connection")) == (b"hello", "close")
    assert await client.ending() == "end", "what is not read must not reset the last answer"
    client.close()
    await asyncio.wait_for(ending, PATIENCE)
    assert target.accepted == 1


async def test_an_idle_connection_has_a_moment_to_ask(
    joined: Front, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plane_module, "_ARRIVAL", 0.0)
    clients = [await joined.client() for _ in range(2)]
    for client in clients:
        await client.send(request("GET", "/_chp_healthz"))
        await client.read_response()
    old, young = sorted(connections(joined), key=lambda each: each.idle_since)
    old.idle_since -= 1.5
    young.idle_since += PATIENCE
    ending = draining(joined)
    assert await clients[0].ending() == "end"

    await clients[1].send(request("GET", "/_chp_healthz"))
    assert (await clients[1].read_response()).get("connection") == "close"
    clients[1].close()
    await asyncio.wait_for(ending, PATIENCE)


@pytest.mark.parametrize(("seconds", "closes"), [(0.2, False), (1.2, True)])
async def test_a_second_without_a_request_is_idleness(
    joined: Front, seconds: float, closes: bool
) -> None:
    client = await joined.client()
    await until(lambda: joined.open == 1, "it is there")
    (connection,) = connections(joined)
    connection.idle_since = connection._clock() - seconds
    connection.finish_up()

    assert (connection.state is DownstreamState.LINGERING) is closes
    client.close()


async def test_a_request_that_has_arrived_unread_is_no_idleness(joined: Front) -> None:
    client = await joined.client()
    await until(lambda: joined.open == 1, "it is there")
    (connection,) = connections(joined)
    connection.idle_since -= 5
    connection.transport.pause_reading()
    await client.send(request("GET", "/_chp_healthz"))
    connection.finish_up()
    assert connection.state is DownstreamState.IDLE

    connection.transport.resume_reading()
    assert (await client.read_response()).get("connection") == "close"


async def test_a_head_that_is_half_there_may_arrive(
    joined: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plane_module, "_ARRIVAL", 0.0)
    client = await joined.client()
    await client.send(request("GET", "/_chp_healthz")[:-2])
    await until(lambda: any(each.unfinished for each in connections(joined)), "half is there")
    (connection,) = connections(joined)
    connection.idle_since -= 5
    ending = draining(joined)
    await all_told(joined)
    await asyncio.sleep(0.1)
    await client.send(b"\r\n")

    assert (await client.read_response()).get("connection") == "close"
    client.close()
    await asyncio.wait_for(ending, PATIENCE)


async def test_a_client_that_was_told_and_stays_does_not_hold_up_a_drain(
    joined: Front, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "_PARTING", 0.1)
    client = await joined.client()
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    ending = spawn(joined.plane.drain(3600), "drain")
    await all_told(joined)
    await wire.send(ANSWER)
    await client.read_response()

    await asyncio.wait_for(ending, PATIENCE)


# --- what cannot be waited for ---------------------------------------------------------------


async def cut_off(front: Front, caplog: pytest.LogCaptureFixture) -> tuple[str, dict[str, float]]:
    """Drain in no time; return the log's only line of it, and what was counted."""
    await front.plane.drain(0.1)
    (line,) = [text for text in caplog.messages if text.startswith("cut off")]
    return line, front.plane.report().counters


async def test_who_has_no_answer_gets_a_503(
    joined: Front, target: Target, caplog: pytest.LogCaptureFixture
) -> None:
    sent = [GET, request("POST", "/", "Content-Length: 10") + b"half"]
    clients = [await joined.client() for _ in sent]
    for client, data in zip(clients, sent, strict=True):
        await client.send(data)
        await (await target.accept()).read_head()
    line, counters = await cut_off(joined, caplog)

    for client in clients:
        got = await client.read_response()
        assert (got.status, got.get("connection")) == (503, "close")
    assert line == "cut off 2 requests that did not end in time: / (2)"
    assert counters["hubgate_cut_off_total:request"] == 2
    assert counters["requests_proxy:503"] == 2
    for wire in target.wires:
        assert await wire.drain() in ("end", "reset")


async def test_a_503_is_all_there_for_a_client_that_reads_it_later(
    start_front: StartFront, target: Target, tmp_path: Path
) -> None:
    (tmp_path / "503.html").write_bytes(bytes(50_000))
    front = await start_front(error_path=str(tmp_path))
    front.route("/", target.url)
    client = await front.client(receive_buffer=4096)
    await client.send(GET)
    await (await target.accept()).read_request()
    await front.plane.drain(0.1)

    assert (await client.read_response()).body == bytes(50_000)


async def test_half_a_head_gets_a_503(joined: Front, caplog: pytest.LogCaptureFixture) -> None:
    client = await joined.client()
    await client.send(GET[:-2])
    await until(lambda: any(each.unfinished for each in connections(joined)), "half is there")
    line, _ = await cut_off(joined, caplog)

    assert (await client.read_response()).status == 503
    assert line == "cut off 1 request that did not end in time"


async def test_an_error_page_that_is_still_being_fetched_is_one_of_ours(
    start_front: StartFront,
    target: Target,
    refusing: socket.socket,
    caplog: pytest.LogCaptureFixture,
) -> None:
    front = await start_front(error_target=target.url, timeouts=Timeouts(ready=0))
    front.route("/", url_of(refusing))
    client = await front.client()
    await client.send(GET)
    await (await target.accept()).read_request()
    _, counters = await cut_off(front, caplog)

    assert (await client.read_response()).status == 503
    assert counters["requests_proxy:503"] == 1, "it was counted when its target failed"


@pytest.mark.parametrize("half", [HALF, CHUNKED, response(200, body=None) + b"hello"])
async def test_half_an_answer_is_broken_off(
    joined: Front, target: Target, caplog: pytest.LogCaptureFixture, half: bytes
) -> None:
    client = await joined.client()
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    await wire.send(half)
    await client.read_until(b"hello")
    line, _ = await cut_off(joined, caplog)

    with pytest.raises((EndedError, ConnectionResetError)):
        await client.read_until(b"more")
    assert line == "cut off 1 request that did not end in time: / (1)"
    assert await wire.ending() in ("end", "reset")


async def test_an_answer_that_is_not_read_is_broken_off(
    joined: Front, target: Target, caplog: pytest.LogCaptureFixture
) -> None:
    client, _ = await unread_answer(joined, target)
    line, _ = await cut_off(joined, caplog)

    assert await client.drain() == "reset"
    assert line == "cut off 1 request that did not end in time: / (1)"


async def test_tunnels_are_counted_apart(
    joined: Front, target: Target, caplog: pytest.LogCaptureFixture
) -> None:
    client, wire = await opened(joined, target)
    # In the middle of a frame either way, none can be told that it ends.
    for side, other in ((client, wire), (wire, client)):
        await side.send(b"\x82\x7e\xff\xff")
        await other.read_exactly(4)
    line, counters = await cut_off(joined, caplog)

    assert line == "cut off 1 tunnel that did not end in time: / (1)"
    assert counters["hubgate_cut_off_total:tunnel"] == 1


@pytest.mark.parametrize(("routes", "more"), [(8, "3 more routes"), (6, "1 more route")])
async def test_only_so_many_routes_are_named(
    routes: int, more: str, front: Front, target: Target, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(routes):
        front.route(f"/{number}", target.url)
    for path in ["/3", "/3", *(f"/{number}" for number in range(routes))]:
        client: Wire = await front.client()
        await client.send(request("GET", path))
        await (await target.accept()).read_request()
    line, _ = await cut_off(front, caplog)

    assert line.startswith(f"cut off {routes + 2} requests that did not end in time: /3 (3), ")
    assert line.endswith(f", {more}")
    assert line.count("(") == 5


async def test_a_drain_that_cuts_nothing_off_says_nothing(
    joined: Front, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = await joined.client()
    await client.send(request("GET", "/_chp_healthz"))
    await client.read_response()
    await joined.plane.drain(0.1)

    assert not [text for text in caplog.messages if "cut off" in text]
    assert not [name for name in joined.plane.report().counters if "cut_off" in name]
