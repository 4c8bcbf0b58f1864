"""The data plane as a whole: start, report, drain."""

import asyncio
import socket
import ssl
from pathlib import Path

import pytest

from hubgate.dataplane.plane import DataPlane
from hubgate.errors import ConfigError
from hubgate.model import ClientTLS, ForwardRules, ServerTLS, WorkerConfig
from hubgate.routing.table import RouteTable
from hubgate.tasks import spawn
from tests.dataplane.conftest import StartFront, StartTarget
from tests.dataplane.peers import ANSWER, Front, Target, echo, hello, listening, open_files, until
from tests.dataplane.wire import chunked, request, response

GET = request("GET", "/")


# --- start -----------------------------------------------------------------------------------


async def test_a_data_plane_on_several_sockets(start_target: StartTarget) -> None:
    target = await start_target(hello)
    sockets = [listening(socket.AF_INET, ("127.0.0.1", 0)) for _ in range(3)]
    fronts = [Front(WorkerConfig(), sock) for sock in sockets]
    plane = fronts[0].plane
    fronts[0].route("/", target.url)
    await plane.start(sockets, [])
    for front in fronts:
        assert (await front.ask("GET", "/")).body == b"hello"

    await plane.drain(0)


async def test_the_kernel_is_asked_to_notice_clients_that_are_gone(
    start_front: StartFront, start_target: StartTarget
) -> None:
    target = await start_target(hello)
    front = await start_front()
    front.route("/", target.url)
    client = await front.client()
    await client.send(GET)
    await client.read_response()
    (accepted,) = front.plane._listener.clients
    raw = accepted.transport.get_extra_info("socket")
    assert raw.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


@pytest.mark.parametrize(
    "config",
    [
        WorkerConfig(tls=ServerTLS("/nowhere.pem", "/nowhere-key.pem")),
        WorkerConfig(client_tls=ClientTLS(ca="/nowhere.pem")),
        WorkerConfig(client_tls=ClientTLS(cert="/nowhere.pem")),
    ],
)
async def test_a_certificate_that_cannot_be_used_is_said_at_once(config: WorkerConfig) -> None:
    with pytest.raises(ConfigError, match=r"/nowhere\.pem"):
        await DataPlane(config, RouteTable(ForwardRules())).start([], [])


async def test_tls(
    start_front: StartFront,
    start_target: StartTarget,
    client_tls: ssl.SSLContext,
    server_settings: dict[str, object],
) -> None:
    target = await start_target(echo)
    front = await start_front(config=server_settings)
    front.route("/", target.url)
    client = await front.tls_client(client_tls)
    data = bytes(range(256)) * 4096
    for _ in range(3):
        await client.send(request("POST", "/", body=data))
        assert (await client.read_response()).body.endswith(b"\n\n" + data)
    await client.send(request("PUT", "/", "Transfer-Encoding: chunked") + chunked(data, data))
    assert (await client.read_response()).body.endswith(b"\n\n" + data + data)


async def test_what_is_no_tls_disturbs_nobody(
    start_front: StartFront,
    start_target: StartTarget,
    client_tls: ssl.SSLContext,
    server_settings: dict[str, object],
) -> None:
    target = await start_target(hello)
    front = await start_front(config=server_settings)
    front.route("/", target.url)
    for junk in (GET, b"\x16\x03\x01nonsense", b""):
        wire = await front.client()
        await wire.send(junk)
        wire.half_close()
        assert await wire.drain() in ("end", "reset")

    client = await front.tls_client(client_tls)
    await client.send(GET)
    assert (await client.read_response()).body == b"hello"


# --- report ----------------------------------------------------------------------------------


async def test_a_report_tells_what_has_grown(front: Front, start_target: StartTarget) -> None:
    target = await start_target(hello)
    front.route("/a", target.url)
    for path in ("/a", "/a/b", "/c"):
        await front.ask("GET", path)
    report = front.plane.report()

    assert report.activity.keys() == {"/a"}
    assert report.counters["requests_web"] == 3
    assert report.counters["requests_proxy:200"] == 2
    assert report.counters["requests_proxy:404"] == 1
    assert report.counters["find_target_for_req_count"] == 3
    assert 0 < report.counters["find_target_for_req_sum"] < 60

    again = front.plane.report()
    assert not again.counters
    assert not again.activity


async def test_a_report_tells_what_is_open(front: Front) -> None:
    clients = [await front.client() for _ in range(5)]
    await until(lambda: front.plane.report().connections == 5, "all are counted")
    for client in clients[:3]:
        client.close()
    await until(lambda: front.plane.report().connections == 2, "those that left are not")

    assert repr(front.plane) == "<DataPlane 2 clients, 0 tunnels>"


# --- drain -----------------------------------------------------------------------------------


async def drained(front: Front) -> None:
    """Start a drain and wait until nobody new is let in."""
    spawn(front.plane.drain(60), "drain")
    await until(lambda: all(client.closing for client in front.plane._listener.clients), "")


async def test_nobody_new_is_let_in(front: Front, start_target: StartTarget) -> None:
    target = await start_target(hello)
    front.route("/", target.url)
    assert (await front.ask("GET", "/")).status == 200
    address = front._listener.getsockname()
    await front.plane.drain(5)

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)


async def test_idle_clients_and_targets_are_closed_at_once(joined: Front, target: Target) -> None:
    client = await joined.client()
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    await wire.send(ANSWER)
    await client.read_response()
    await joined.plane.drain(60)

    assert await client.ending() == "end"
    assert await wire.ending() in ("end", "reset")
    assert joined.open == 0


async def test_a_request_under_way_is_finished(joined: Front, target: Target) -> None:
    client = await joined.client()
    await client.send(request("POST", "/", "Content-Length: 10") + b"hello")
    wire = await target.accept()
    await wire.read_head()
    await drained(joined)
    await client.send(b"again")
    assert await wire.read_exactly(10) == b"helloagain"
    await wire.send(response(200, "Transfer-Encoding: chunked", body=None) + b"5\r\nhello\r\n")
    got = await client.read_head()
    assert got.get("connection") == "close"
    assert await client.read_chunk() == b"hello"
    await wire.send(b"0\r\n\r\n")

    assert await client.read_chunk() == b""
    assert await client.ending() == "end"
    await until(lambda: joined.open == 0, "the drain is over")


async def test_a_response_under_way_is_finished(joined: Front, target: Target) -> None:
    client = await joined.client()
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    await wire.send(response(200, "Content-Length: 10", body=None) + b"hello")
    await client.read_head()
    await drained(joined)
    await wire.send(b"again")

    assert await client.read_exactly(10) == b"helloagain"
    assert await client.ending() == "end"


async def test_a_request_behind_the_one_under_way_is_not_begun(
    joined: Front, target: Target
) -> None:
    client = await joined.client()
    await client.send(GET + request("GET", "/second"))
    wire = await target.accept()
    await wire.read_request()
    await drained(joined)
    await wire.send(ANSWER)

    assert (await client.read_response()).get("connection") == "close"
    assert await client.ending() in ("end", "reset")
    assert target.accepted == 1


async def test_what_takes_too_long_is_cut_off(joined: Front, target: Target) -> None:
    client = await joined.client()
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    await joined.plane.drain(0.2)

    got = await client.read_response()
    assert (got.status, got.get("connection")) == (503, "close")
    assert await client.ending() == "end"
    assert await wire.ending() in ("end", "reset")
    await until(lambda: joined.open == 0, "nobody is left")


async def test_a_client_whose_handshake_is_not_over_does_not_hold_up_the_drain(
    start_front: StartFront, client_tls: ssl.SSLContext, server_settings: dict[str, object]
) -> None:
    front = await start_front(config=server_settings)
    late = await front.client()
    # Once a later one is served, this one has been accepted too.
    client = await front.tls_client(client_tls)
    client.close()
    await asyncio.wait_for(front.plane.drain(60), 30)
    late.close()


async def test_a_drain_of_an_idle_data_plane_is_over_at_once(front: Front) -> None:
    await asyncio.wait_for(front.plane.drain(3600), 30)


async def test_nothing_stays_open(start_target: StartTarget, tmp_path: Path) -> None:
    target = await start_target(hello)
    files = open_files()
    for _ in range(20):
        front = Front(WorkerConfig(), listening(socket.AF_INET, ("127.0.0.1", 0)))
        front.route("/", target.url)
        await front.start()
        for _ in range(5):
            assert (await front.ask("GET", "/")).status == 200
        await front.stop()
    await until(lambda: all(wire.socket.fileno() < 0 for wire in target.wires), "targets see it")

    await until(lambda: open_files() <= files, "no socket is left")


# --- on the loop of the standard library -----------------------------------------------------


@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_the_standard_loop_serves_as_well(
    start_front: StartFront,
    start_target: StartTarget,
    client_tls: ssl.SSLContext,
    server_settings: dict[str, object],
) -> None:
    assert type(asyncio.get_running_loop()).__module__.startswith("asyncio")
    target = await start_target(echo)
    data = bytes(range(256)) * 4096
    for secure in (False, True):
        front = await start_front(config=server_settings if secure else {})
        front.route("/", target.url)
        client = await front.tls_client(client_tls) if secure else await front.client()
        for _ in range(3):
            await client.send(request("PUT", "/", "Transfer-Encoding: chunked") + chunked(data))
            assert (await client.read_response()).body.endswith(b"\n\n" + data)
        await client.send(GET + GET)
        assert (await client.read_response()).status == 200
        assert (await client.read_response()).status == 200


@pytest.mark.asyncio(loop_factories=["asyncio"])
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_tunnels_on_the_standard_loop(joined: Front, target: Target, how: str) -> None:
    client = await joined.client()
    await client.send(request("GET", "/", "Connection: Upgrade", "Upgrade: x") + b"early")
    wire = await target.accept()
    await wire.read_request()
    await wire.send(b"HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nwelcome")
    assert (await client.read_response()).status == 101
    assert await client.read_exactly(7) == b"welcome"
    assert await wire.read_exactly(5) == b"early"
    client.half_close()
    assert await wire.read() == b""
    await wire.send(b"still here")
    assert await client.read_exactly(10) == b"still here"
    wire.close() if how == "close" else wire.reset()

    assert await client.ending() in ("end", "reset")
    await until(lambda: joined.open == 0, "the tunnel is closed")


@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_breaking_off_on_the_standard_loop(joined: Front, target: Target) -> None:
    client = await joined.client()
    await client.send(b"GET / HTTP/1.0\r\n\r\n")
    wire = await target.accept()
    await wire.read_request()
    await wire.send(response(200, body=None) + b"hello")
    await client.read_head()
    assert await client.read_exactly(5) == b"hello"
    wire.reset()

    assert await client.ending() == "reset"
