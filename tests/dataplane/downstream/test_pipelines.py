"""A client that sends much at once: it waits for its turns, and for itself to read."""

import asyncio
import socket
import ssl
from pathlib import Path

import pytest

from hubgate.dataplane.downstream.connection import DownstreamConnection
from hubgate.model import Limits
from hubgate.tasks import spawn
from tests.dataplane.conftest import StartFront, StartTarget
from tests.dataplane.peers import ANSWER, Front, Target, until, url_of
from tests.dataplane.tunnels.tunnels import HELLO, SWITCH, UPGRADE
from tests.dataplane.wire import EndedError, Wire, request, response

ONE_READ = 1 << 15
"""What a new connection is read of at once."""

NONE = request("GET", "/none")
UNUSUAL = b"GET /none HTTP/1.1\r\nhost:hub\r\n\r\n"
FIELDS = b"GET /none HTTP/1.1\r\nHost: hub\r\n%b\r\n" % b"".join(
    b"X-%d: y\r\n" % n for n in range(200)
)
POST = b"POST /none HTTP/1.1\r\nHost: hub\r\nContent-Length: 1\r\n\r\nx"
CHUNKED = (
    b"POST /none HTTP/1.1\r\nHost: hub\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
)
HEALTH = request("GET", "/_chp_healthz")
DEAD = request("GET", "/dead")


async def turns_while_busy(front: Front, client: Wire) -> int:
    """Return how many turns of the loop others have until all that `client` sent is served."""
    await until(lambda: front.plane._listener.clients, "it is accepted")
    (connection,) = front.plane._listener.clients
    turns = 0
    while not connection._reader.unread:  # noqa: ASYNC110
        await asyncio.sleep(0)
    while connection._reader.unread:
        if not connection.writable:
            await client._fill()
        await asyncio.sleep(0)
        turns += 1
    return turns


@pytest.mark.parametrize(
    "message",
    [NONE, UNUSUAL, FIELDS, POST, CHUNKED, HEALTH, DEAD],
    ids=["404", "llhttp", "fields", "post", "chunked", "health", "503"],
)
async def test_one_read_is_served_in_many_turns(
    front: Front, refusing: socket.socket, message: bytes
) -> None:
    front.route("/dead", url_of(refusing))
    count = ONE_READ // len(message)
    client = await front.client()
    client.socket.setblocking(True)
    client.socket.sendall(message * count)
    client.socket.setblocking(False)

    # A large head is a small part of a turn, but few of them are in one read.
    assert await turns_while_busy(front, client) >= min(3, count // 16)
    for _ in range(count):
        assert (await client.read_response()).status in (200, 404, 503)


async def test_whoever_has_sent_much_is_read_in_small_pieces(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    receive = DownstreamConnection.data_received

    def note(self: DownstreamConnection, data: bytes) -> None:
        sizes.append(len(data))
        receive(self, data)

    monkeypatch.setattr(DownstreamConnection, "data_received", note)
    client, got, count = await front.client(), [0], 20_000
    reading = spawn(discard(client, got), "discard")
    await client.send(NONE * count)
    await until(lambda: got[0] == count, "all are served")
    reading.cancel()
    assert max(sizes) == ONE_READ


async def test_tiny_chunks_are_read_in_many_turns(joined: Front, target: Target) -> None:
    chunks = ONE_READ // 6 - 20
    client = await joined.client()
    await client.send(
        request("PUT", "/", "Transfer-Encoding: chunked") + b"1\r\nx\r\n" * chunks + b"0\r\n\r\n"
    )
    wire = await target.accept()
    (connection,) = joined.plane._listener.clients
    assert connection._reader.unread
    head = await wire.read_request()
    assert head.body == b"x" * chunks
    await wire.send(ANSWER)
    assert (await client.read_response()).body == b"hello"


async def discard(client: Wire, got: list[int]) -> None:
    """Read and count responses until the connection ends."""
    while data := await client.read():
        got[0] += data.count(b"HTTP/1.1 404")


@pytest.mark.parametrize("secure", [False, True], ids=["cleartext", "TLS"])
async def test_a_bystander_is_served_meanwhile(
    start_front: StartFront,
    server_settings: dict[str, object],
    client_tls: ssl.SSLContext,
    target: Target,
    secure: bool,
) -> None:
    front = await start_front(config=server_settings if secure else None)
    front.route("/", target.url)

    async def connect() -> Wire:
        return await (front.tls_client(client_tls) if secure else front.client())

    greedy = [await connect() for _ in range(8)]
    front.table.apply((), ["/"])
    front.route("/honest", target.url)
    got, each = [0], 3000
    reading = [spawn(discard(client, got), "discard") for client in greedy]
    await asyncio.gather(*(client.send(NONE * each) for client in greedy))
    bystander = await connect()
    await bystander.send(request("GET", "/honest"))
    wire = await target.accept()
    await wire.read_request()
    await wire.send(ANSWER)
    assert (await bystander.read_response()).body == b"hello"
    assert got[0] < len(greedy) * each

    await until(lambda: got[0] == len(greedy) * each, "all are served in the end")
    for task in reading:
        task.cancel()


# --- a client that does not read ---------------------------------------------------------------


@pytest.fixture
async def papered(start_front: StartFront, tmp_path: Path) -> Front:
    """A data plane with error pages of 20 KB."""
    (tmp_path / "404.html").write_bytes(b"x" * 20_000)
    return await start_front(error_path=str(tmp_path))


async def stuck(front: Front, client: Wire, sent: bytes) -> None:
    """Send requests, read nothing, and wait until nothing more is served."""
    await client.send(sent)
    (connection,) = front.plane._listener.clients
    await until(lambda: not connection.writable and connection._reader.unread, "it is stuck")


async def test_who_does_not_read_gets_no_more_answers(papered: Front) -> None:
    client = await papered.client(receive_buffer=4096)
    await stuck(papered, client, NONE * 1000)
    (connection,) = papered.plane._listener.clients
    served = papered.plane.report().counters["requests_proxy:404"]
    await asyncio.sleep(0.05)

    assert papered.plane.report().counters.get("requests_proxy:404", 0) == 0
    assert connection.transport.get_write_buffer_size() <= 21_000
    assert not connection._reader.requests
    assert served < 1000

    for _ in range(1000):
        assert len((await client.read_response()).body) == 20_000


async def test_little_is_held_of_who_sends_much_and_reads_nothing(front: Front) -> None:
    client = await front.client(receive_buffer=4096)
    count = 20_000
    sending = spawn(client.send(NONE * count), "send")
    await until(lambda: front.plane._listener.clients, "it is accepted")
    (connection,) = front.plane._listener.clients
    await until(lambda: not connection.writable and connection._reader.unread, "it is stuck")
    assert len(connection._reader.unread) <= ONE_READ

    for _ in range(count):
        assert (await client.read_response()).status == 404
    await sending


async def test_it_is_closed_if_it_never_reads(
    start_front: StartFront, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "404.html").write_bytes(b"x" * 20_000)
    front = await start_front(error_path=str(tmp_path))
    client = await front.client(receive_buffer=4096)
    await stuck(front, client, NONE * 1000)
    (connection,) = front.plane._listener.clients
    connection.deadline = 0
    await until(lambda: connection.state.value == "lingering", "it is being closed")
    connection.deadline = 0
    await until(lambda: not front.plane._listener.clients, "it is gone")
    assert front.open == 0


async def test_a_body_that_waits_arrives_whole(
    start_front: StartFront, start_target: StartTarget
) -> None:
    body = b"".join(b"%07d\n" % number for number in range(25_000))
    got: list[bytes] = []

    async def serve(wire: Wire) -> None:
        for size in (0, 60_000, 2, 2):
            got.append((await wire.read_request()).body)
            await wire.send(response(200, body=b"x" * size))

    target = await start_target(serve)
    front = await start_front()
    front.route("/", target.url)
    client = await front.client(receive_buffer=4096)
    await client.send(request("GET", "/first"))
    await client.read_response()
    (connection,) = front.plane._listener.clients
    ours = connection.transport.get_extra_info("socket")
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)

    large = request("POST", "/", f"Content-Length: {len(body)}") + body
    sending = spawn(client.send(request("GET", "/large") + 2 * large), "send")
    await until(lambda: connection._reader.unread and not connection.writable, "it is stuck")
    await asyncio.sleep(0.05)
    for size in (60_000, 2, 2):
        assert len((await client.read_response()).body) == size
    await sending
    assert got == [b"", b"", body, body]


async def test_what_is_sent_before_a_101_is_for_the_tunnel(joined: Front, target: Target) -> None:
    client = await joined.client()
    await client.send(HEALTH * 1500 + request("GET", "/", *UPGRADE))
    for _ in range(1500):
        await client.read_response()
    (connection,) = joined.plane._listener.clients
    wire = await target.accept()
    await wire.read_head()
    assert connection._greedy
    await client.send(HELLO)
    await until(lambda: HELLO in connection._reader.unread, "it has arrived")
    await client.send(HELLO)
    await wire.send(SWITCH)
    assert await wire.read_exactly(2 * len(HELLO)) == 2 * HELLO
    await client.read_head()
    await client.send(HELLO)
    assert await wire.read_exactly(len(HELLO)) == HELLO
    client.close()
    wire.close()


async def test_whoever_waits_for_its_turn_is_not_closed_to_make_room(
    start_front: StartFront,
) -> None:
    front = await start_front(limits=Limits(connections=1))
    count = ONE_READ // len(NONE)
    client = await front.client()
    await client.send(NONE * count)
    await until(lambda: front.plane._listener.clients, "it is accepted")
    (connection,) = front.plane._listener.clients
    while not connection._reader.unread:  # noqa: ASYNC110
        await asyncio.sleep(0)
    newcomer = await front.client()
    assert (await newcomer.read_response()).status == 503
    for _ in range(count):
        assert (await client.read_response()).status == 404


async def test_whoever_has_sent_much_waits_for_a_turn_with_what_comes_next(front: Front) -> None:
    count = ONE_READ // len(NONE) - 1
    client = await front.client()
    await client.send(NONE * count + NONE[:10])
    for _ in range(count):
        await client.read_response()
    (connection,) = front.plane._listener.clients
    assert connection._reader.in_head

    connection.data_received(NONE[10:])
    assert front.plane.turns.waits(connection._advance)
    assert (await client.read_response()).status == 404
    assert not front.plane.turns.waits(connection._advance)


async def test_after_a_last_response_what_is_left_of_a_pipeline_is_read_and_dropped(
    front: Front,
) -> None:
    client = await front.client()
    await until(lambda: front.plane._listener.clients, "it is accepted")
    (connection,) = front.plane._listener.clients
    connection.closing = True
    # Requests that one step through what was read completes together.
    tiny = b"GET /none HTTP/1.1\r\nHost: h\r\n\r\n"
    await client.send(CHUNKED.replace(b"0\r\n\r\n", b"0\r\nT: v\r\n\r\n") + tiny * 5)
    assert (await client.read_response()).get("Connection") == "close"
    assert connection.state.value == "lingering"
    assert connection.transport.is_reading()


async def test_a_response_that_breaks_takes_no_earlier_one_with_it(
    joined: Front, target: Target
) -> None:
    client = await joined.client(receive_buffer=1 << 14)
    await client.send(request("POST", "/", body=b"x") + request("GET", "/"))
    wire = await target.accept()
    await wire.read_request()
    first = response(200, body=bytes(1 << 18))
    await wire.send(first)
    await wire.read_request()
    await wire.send(response(200, "Content-Length: 10", body=None) + b"hello")
    (connection,) = joined.plane._listener.clients
    await until(lambda: connection._head_begun or connection.state.value == "busy", "it is served")
    wire.reset()
    await until(lambda: connection.state.value == "lingering", "it has broken")
    assert (await client.read_response()).body == bytes(1 << 18)
    assert (await client.read_head()).status == 200
    with pytest.raises(EndedError) as ended:
        await client.read_exactly(10)
    assert ended.value.args[0] in (b"hello", b"")
