"""A client's connection: how long it stays, and how it ends."""

import asyncio
import contextlib
import socket
import ssl
from pathlib import Path

import pytest

from hubgate.dataplane.downstream import connection as connection_module
from hubgate.dataplane.downstream.state import DownstreamState
from hubgate.model import Timeouts
from tests.dataplane.conftest import StartFront, StartTarget
from tests.dataplane.peers import ANSWER, Front, Target, flood, hello, listening, until
from tests.dataplane.wire import Wire, request, response

GET = request("GET", "/")
LAST = request("GET", "/", "Connection: close")
OLD = b"GET / HTTP/1.0\r\n\r\n"
DATA = bytes(range(256)) * 4096


def connection_of(front: Front) -> connection_module.DownstreamConnection:
    """Return the data plane's side of the only client."""
    (connection,) = front.plane._listener.clients
    return connection


# --- staying ---------------------------------------------------------------------------------


async def test_the_default_outlasts_a_cloud_balancer() -> None:
    assert Timeouts().keep_alive > 60


async def test_a_request_in_time_keeps_the_connection(front: Front) -> None:
    client = await front.client()
    deadline = 0.0
    for _ in range(4):
        await client.send(request("GET", "/_chp_healthz"))
        assert (await client.read_response()).status == 200
        connection = connection_of(front)
        assert connection.state is DownstreamState.IDLE
        assert connection.deadline >= deadline, "it has all its time again"
        deadline = connection.deadline
        connection.deadline -= 50


@pytest.mark.real_time
async def test_a_request_being_served_has_no_idle_time(
    start_front: StartFront, target: Target
) -> None:
    front = await start_front(timeouts=Timeouts(keep_alive=0.2))
    front.route("/", target.url)
    client = await front.client()
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    await asyncio.sleep(1.2)  # the sweep comes twice a second
    await wire.send(ANSWER)

    assert (await client.read_response()).body == b"hello"


# --- ending ----------------------------------------------------------------------------------


SIZE = 60000
"""The size of an answer: less than the write buffer, far more than the kernel's small ones."""


@pytest.fixture
async def unread(
    start_front: StartFront,
    target: Target,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> tuple[Front, Wire]:
    """A data plane that has written a last answer of SIZE bytes, and its client, yet to read it.

    The parameters are patience of the listener's, in seconds.
    """
    for name, seconds in request.param.items():
        monkeypatch.setattr(connection_module, name, seconds)
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    sock.setblocking(False)
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    front = await start_front(sock=sock)
    front.route("/", target.url)
    client = await front.client(receive_buffer=4096)
    await client.send(LAST)
    wire = await target.accept()
    await wire.read_head()
    await wire.send(response(200, body=bytes(SIZE)))
    await until(
        lambda: connection_of(front).state is DownstreamState.LINGERING, "the answer is complete"
    )
    assert connection_of(front).transport.get_write_buffer_size() > 0
    return front, client


@pytest.mark.real_time
@pytest.mark.parametrize("unread", [{"LINGER": 0.2}], indirect=True)
async def test_a_slow_reader_gets_the_end_of_its_answer(unread: tuple[Front, Wire]) -> None:
    _, client = unread
    await asyncio.sleep(1.5)  # longer than the lingering and the sweep's pause together

    assert (await client.read_response()).body == bytes(SIZE)
    assert await client.ending() == "end"


@pytest.mark.real_time
@pytest.mark.parametrize("unread", [{"SEND_TIMEOUT": 0.2}], indirect=True)
async def test_a_reader_that_stopped_is_cut_off(unread: tuple[Front, Wire]) -> None:
    front, _ = unread

    await until(lambda: front.open == 0, "the connection is cut")


@pytest.mark.real_time
@pytest.mark.parametrize("unread", [{"SEND_TIMEOUT": 1.5}], indirect=True)
async def test_a_reader_that_goes_on_is_not_cut_off(unread: tuple[Front, Wire]) -> None:
    _, client = unread
    await client.read_head()
    for _ in range(SIZE // 3000):
        await client.read_exactly(3000)
        await asyncio.sleep(0.2)

    assert await client.ending() == "end"


@pytest.mark.real_time
async def test_a_client_that_goes_on_sending_after_its_answer_is_cut_off_in_time(
    joined: Front, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "LINGER", 0.3)
    client = await joined.client()
    await client.send(request("PUT", "/", "Content-Length: 1000000000"))
    wire = await target.accept()
    await wire.read_head()
    await wire.send(response(413))
    assert (await client.read_response()).status == 413
    with contextlib.suppress(ConnectionError):
        while joined.open:
            await client.send(bytes(1000))
            await asyncio.sleep(0.01)

    await until(lambda: joined.open == 0, "the connection is cut")


async def test_a_client_that_reads_its_answer_and_leaves_is_let_go(
    joined: Front, target: Target
) -> None:
    client = await joined.client()
    await client.send(request("PUT", "/", "Content-Length: 1000000000"))
    wire = await target.accept()
    await wire.read_head()
    await wire.send(response(413))
    assert (await client.read_response()).status == 413
    assert await client.ending() == "end"
    client.close()

    await until(lambda: joined.open == 0, "the connection is gone")


async def test_breaking_off_is_a_reset(joined: Front, target: Target) -> None:
    client = await joined.client()
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    connection_of(joined).abort()

    assert await client.ending() == "reset"
    assert await wire.ending() in ("end", "reset")


async def test_over_tls_breaking_off_is_no_proper_end(
    secured: Front, target: Target, client_tls: ssl.SSLContext
) -> None:
    client = await secured.tls_client(client_tls)
    await client.send(OLD)
    wire = await target.accept()
    await wire.read_request()
    await wire.send(response(200, body=None) + b"hello")
    await client.read_head()
    assert await client.read_exactly(5) == b"hello"
    wire.reset()

    assert await client.ending() == "reset"


@pytest.mark.real_time
async def test_an_upload_that_a_stuck_target_holds_up_ends_with_its_client(
    start_front: StartFront, target: Target
) -> None:
    front = await start_front(timeouts=Timeouts(body=0.3))
    front.route("/", target.url)
    client = await front.client()
    await client.send(request("PUT", "/", "Content-Length: 1000000000"))
    await target.accept()
    await flood(client, DATA, 64 << 20)
    client.reset()

    await until(lambda: front.open == 0, "the client is gone")
    assert await target.wires[0].drain() in ("end", "reset")


# --- who is there ----------------------------------------------------------------------------


async def test_a_connection_knows_its_peer(joined: Front, target: Target) -> None:
    await joined.client()
    await until(lambda: joined.open == 1, "it is there")

    assert connection_of(joined).peer == "127.0.0.1"
    assert repr(connection_of(joined)) == "<DownstreamConnection 127.0.0.1 idle>"


async def test_an_ipv4_peer_of_a_socket_for_both_families(start_front: StartFront) -> None:
    sock = socket.socket(socket.AF_INET6)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.setblocking(False)
    sock.bind(("::", 0))
    sock.listen()
    front = await start_front(sock=sock)
    client = socket.create_connection(("127.0.0.1", front.port))
    await until(lambda: front.open == 1, "it is there")

    assert connection_of(front).peer == "127.0.0.1"
    client.close()


async def test_ipv6(start_front: StartFront, start_target: StartTarget) -> None:
    target = await start_target(hello)
    front = await start_front(sock=listening(socket.AF_INET6, ("::1", 0)))
    front.route("/", target.url)

    assert (await front.ask("GET", "/")).body == b"hello"


async def test_a_unix_socket(
    start_front: StartFront, start_target: StartTarget, tmp_path: Path
) -> None:
    target = await start_target()
    front = await start_front(sock=listening(socket.AF_UNIX, str(tmp_path / "front.sock")))
    front.route("/", target.url)
    client = await front.client()
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    await wire.send(ANSWER)
    assert (await client.read_response()).body == b"hello"

    # Half-finished answers break here as well.
    await client.send(GET)
    await wire.read_request()
    await wire.send(response(200, "Content-Length: 10", body=None) + b"hello")
    wire.close()
    await client.read_head()
    assert await client.read_exactly(5) == b"hello"
    assert await client.ending() in ("end", "reset")
