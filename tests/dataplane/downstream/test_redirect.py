"""The port that sends everybody to HTTPS."""

import socket

import pytest

from hubgate.dataplane.plane import DataPlane
from hubgate.model import ForwardRules, Limits, Timeouts, WorkerConfig
from hubgate.routing.table import RouteTable
from tests.dataplane.conftest import StartFront
from tests.dataplane.peers import Front, flood, listening
from tests.dataplane.wire import Message, Wire, request


async def redirected(front: Front, port: int, sent: bytes) -> Message:
    """Send something to the redirecting port and return the answer."""
    sock = socket.create_connection(("127.0.0.1", port))
    wire = Wire(sock)
    front.clients.append(wire)
    await wire.send(sent)
    return await wire.read_response()


@pytest.fixture
def plain() -> socket.socket:
    """The redirecting port's socket."""
    return listening(socket.AF_INET, ("127.0.0.1", 0))


async def started(start_front: StartFront, plain: socket.socket, to: int | None) -> Front:
    return await start_front(config={"redirect_to": to}, redirect=[plain])


@pytest.mark.parametrize(
    ("to", "host", "location"),
    [
        (443, "hub.example", "https://hub.example/a?b=%20"),
        (None, "hub.example", "https://hub.example/a?b=%20"),
        (8443, "hub.example", "https://hub.example:8443/a?b=%20"),
        (8443, "hub.example:8000", "https://hub.example:8443/a?b=%20"),
        (443, "hub.example:8000", "https://hub.example/a?b=%20"),
        (443, "[::1]:8000", "https://[::1]/a?b=%20"),
        (8443, "[::1]", "https://[::1]:8443/a?b=%20"),
    ],
)
async def test_everybody_is_sent_to_https(
    start_front: StartFront, plain: socket.socket, to: int | None, host: str, location: str
) -> None:
    port = plain.getsockname()[1]
    front = await started(start_front, plain, to)
    got = await redirected(front, port, request("GET", "/a?b=%20", host=host))

    assert got.status == 301
    assert got.get("location") == location


async def test_the_absolute_form_is_no_path(start_front: StartFront, plain: socket.socket) -> None:
    port = plain.getsockname()[1]
    front = await started(start_front, plain, 443)
    got = await redirected(front, port, request("GET", "http://hub/a?b", host="hub"))

    assert got.status in (301, 400)
    if got.status == 301:
        assert got.get("location") == "https://hub/a?b"


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nHost:\r\n\r\n"])
async def test_without_a_host_there_is_nowhere_to_send(
    start_front: StartFront, plain: socket.socket, sent: bytes
) -> None:
    port = plain.getsockname()[1]
    front = await started(start_front, plain, 443)

    assert (await redirected(front, port, sent)).status == 400


@pytest.mark.parametrize("host", ["a b", "evil/path", "user@evil", "evil?", "evil#", 'e"vil'])
async def test_a_host_that_is_none_is_not_repeated(
    start_front: StartFront, plain: socket.socket, host: str
) -> None:
    port = plain.getsockname()[1]
    front = await started(start_front, plain, 443)
    got = await redirected(front, port, request("GET", "/", host=host))

    assert got.status == 400
    assert got.get("location") is None


@pytest.fixture
async def quick(start_front: StartFront, plain: socket.socket) -> Front:
    """A data plane in a hurry, two connections on its redirecting port allowed."""
    return await start_front(
        timeouts=Timeouts(head=0.3, body=0.3, keep_alive=0.3),
        limits=Limits(connections=2),
        redirect=[plain],
    )


async def strangers(front: Front, port: int, count: int, sent: bytes = b"") -> list[Wire]:
    """Return connections to the redirecting port that have sent something."""
    wires = [Wire(socket.create_connection(("127.0.0.1", port))) for _ in range(count)]
    front.clients += wires
    for wire in wires:
        await wire.send(sent)
    return wires


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"", b""),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: ", b"HTTP/1.1 408 "),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nx", b"HTTP/1.1 301 "),
    ],
)
async def test_who_sends_no_whole_request_is_not_waited_for(
    quick: Front, plain: socket.socket, sent: bytes, said: bytes
) -> None:
    (wire,) = await strangers(quick, plain.getsockname()[1], 1, sent)
    got = await wire.read_rest()
    assert got[: len(said)] == said
    assert said or not got


async def test_it_has_a_limit_of_its_own_that_locks_nobody_out(
    start_front: StartFront, plain: socket.socket
) -> None:
    front = await start_front(limits=Limits(connections=2), redirect=[plain])
    port = plain.getsockname()[1]
    wires = await strangers(front, port, 10)
    assert (await redirected(front, port, request("GET", "/a", host="hub"))).status == 301
    assert await wires[0].ending() in ("end", "reset")
    assert front.plane.counters.connections_refused["redirect"] >= 9
    assert front.open == 0
    assert (await front.ask("GET", "/_chp_healthz")).status == 200


async def test_who_goes_on_sending_after_the_answer_makes_room(
    start_front: StartFront, plain: socket.socket
) -> None:
    front = await start_front(limits=Limits(connections=2), redirect=[plain])
    port = plain.getsockname()[1]
    body = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nx"
    for wire in await strangers(front, port, 2, body):
        assert (await wire.read_response()).status == 301
    assert (await redirected(front, port, request("GET", "/a", host="hub"))).status == 301


async def test_who_reads_nothing_is_sent_no_more(
    start_front: StartFront, plain: socket.socket
) -> None:
    front = await start_front(redirect=[plain])
    (wire,) = await strangers(front, plain.getsockname()[1], 1)
    await flood(wire, request("GET", "/" + "a" * 4000, host="hub") * 8, 64 << 20)
    (client,) = front.plane._listener.clients
    assert client.transport.get_write_buffer_size() < 1 << 18


async def test_requests_of_one_connection_are_all_answered(
    start_front: StartFront, plain: socket.socket
) -> None:
    front = await start_front(redirect=[plain])
    (wire,) = await strangers(front, plain.getsockname()[1], 1)
    await wire.send(request("GET", "/a", host="hub") + request("HEAD", "/b", host="hub"))
    assert (await wire.read_response()).get("location") == "https://hub/a"
    assert (await wire.read_response(to="HEAD")).get("location") == "https://hub/b"


async def test_a_drain_closes_it(start_front: StartFront, plain: socket.socket) -> None:
    address = plain.getsockname()
    front = await started(start_front, plain, 443)
    await redirected(front, address[1], request("GET", "/"))
    await front.plane.drain(0)

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    assert await front.clients[-1].ending() in ("end", "reset")


async def test_without_one_there_is_none() -> None:
    plane = DataPlane(WorkerConfig(), RouteTable(ForwardRules()))
    await plane.start([], [])
    await plane.drain(0)


async def test_who_asks_for_an_upgrade_is_told_that_nothing_follows(
    start_front: StartFront, plain: socket.socket
) -> None:
    front = await started(start_front, plain, 443)
    upgrade = request("GET", "/a", "Connection: Upgrade", "Upgrade: websocket")
    got = await redirected(front, plain.getsockname()[1], upgrade)
    assert (got.status, got.get("connection")) == (301, "close")
    assert await front.clients[-1].read_rest() == b""
