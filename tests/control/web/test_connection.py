"""Connections to the API's and the metrics' ports: how many, and how long they may take."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from hubgate.certificates.authority import make_authority, make_server
from hubgate.control.listening.sockets import listen
from hubgate.control.web import connection, endpoint
from hubgate.control.web.connection import prove
from hubgate.control.web.endpoint import Endpoint
from hubgate.control.web.protocol import handler_args
from hubgate.model import Address, Limits, ServerTLS, Timeouts, WorkerConfig
from hubgate.transport.admission import Admission, PortLimits
from tests.certificates.made import Files, write
from tests.control.serving import PATIENCE
from tests.control.waiting import until

HEAD = b"GET / HTTP/1.1\r\nHost: hub\r\n"
GET = HEAD + b"\r\n"
RIGHT = HEAD + b"X-Right: yes\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: hub\r\nContent-Length: 9\r\n\r\nx"
TOO_LATE = b"HTTP/1.1 408 "
LARGE = 1 << 23


class Port:
    """An endpoint with a small application, and clients for it."""

    def __init__(self, tls: ServerTLS | None = None, path: str | None = None) -> None:
        self.refused: list[str] = []
        loop = asyncio.get_running_loop()
        self.admission = Admission("API", PortLimits(), loop.time, self.refused.append)
        where = Address("127.0.0.1", 0) if path is None else Address(path=path)
        self._listener = listen(where)
        self._path = path
        self.endpoint = Endpoint(application(), [self._listener], tls, self.admission)
        self._clients: list[socket.socket] = []

    async def start(self, **settings: Any) -> None:
        """Serve with these limits and times."""
        times = {
            key: settings.pop(key) for key in ("head", "body", "keep_alive") if key in settings
        }
        config = WorkerConfig(limits=Limits(**settings), timeouts=Timeouts(**times))
        self.endpoint.apply(config)
        await self.endpoint.start()

    async def stop(self) -> None:
        """Close everything."""
        for client in self._clients:
            client.close()
        await self.endpoint.close()
        self._listener.close()

    @property
    def address(self) -> Any:
        """Where it listens."""
        return self._path or ("127.0.0.1", self._listener.address.port)

    async def client(self, sent: bytes = b"", unread: int = 4096) -> socket.socket:
        """Return a new connection that has sent something, and takes few bytes `unread`."""
        loop = asyncio.get_running_loop()
        sock = socket.socket(socket.AF_UNIX if self._path else socket.AF_INET)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, unread)
        await loop.sock_connect(sock, self.address)
        self._clients.append(sock)
        await loop.sock_sendall(sock, sent)
        return sock

    async def status(self, sent: bytes = GET) -> int:
        """Ask on a new connection; return the status."""
        return status_of(await receive(await self.client(sent)))


def application() -> web.Application:
    """Return one that reads bodies, and knows who is right."""

    async def answer(request: web.Request) -> web.Response:
        if "X-Right" in request.headers:
            prove(request)
        await request.read()
        if request.path == "/wait":
            await asyncio.sleep(PATIENCE)
        return web.Response(body=bytes(LARGE) if request.path == "/large" else b"hello")

    app = web.Application(handler_args=handler_args())
    app.router.add_route("*", "/{rest:.*}", answer)
    return app


async def receive(client: socket.socket) -> bytes:
    """Return what comes next; nothing at the end, a reset included."""
    loop = asyncio.get_running_loop()
    try:
        return await asyncio.wait_for(loop.sock_recv(client, 16384), PATIENCE)
    except ConnectionError:
        return b""


async def rest(client: socket.socket) -> bytes:
    """Return all that comes until the end."""
    got = b""
    while more := await receive(client):
        got += more
    return got


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ")[1])


@pytest.fixture
async def port() -> AsyncIterator[Port]:
    port = Port()
    yield port
    await port.stop()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Files:
    authority = make_authority()
    pair = make_server(authority, ("127.0.0.1",), days=30)
    return write(Path(tmp_path_factory.mktemp("certificates")), "server", pair, authority)


# --- time -------------------------------------------------------------------------------------


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("sent", "said", "idle"),
    [(b"", b"", 0.2), (HEAD, TOO_LATE, 20), (b"G", TOO_LATE, 20), (POST, TOO_LATE, 20)],
)
async def test_who_sends_no_whole_request_is_not_waited_for(
    port: Port, sent: bytes, said: bytes, idle: float
) -> None:
    await port.start(head=0.2, body=0.2, keep_alive=idle)
    got = await rest(await port.client(sent))
    assert got[: len(said)] == said
    assert said or not got
    await until(lambda: port.admission.open == 0)


@pytest.mark.real_time
@pytest.mark.parametrize("begun", [HEAD, POST.replace(b": 9", b": 99")])
async def test_bytes_that_trickle_do_not_extend_the_time(port: Port, begun: bytes) -> None:
    await port.start(head=0.3, body=0.3)
    client = await port.client(begun)
    loop = asyncio.get_running_loop()
    with contextlib.suppress(ConnectionError):
        for _ in range(80):
            await loop.sock_sendall(client, b"x")
            await asyncio.sleep(0.05)
            with contextlib.suppress(BlockingIOError):
                assert status_of(client.recv(4096)) == 408
                return
    pytest.fail("it was never told")


@pytest.mark.real_time
async def test_one_that_was_answered_is_idle_no_longer_than_any(port: Port) -> None:
    await port.start(keep_alive=0.2)
    client = await port.client(GET)
    assert status_of(await receive(client)) == 200
    assert await rest(client) in (b"", b"hello")


@pytest.mark.real_time
async def test_a_request_being_served_has_all_the_time(port: Port) -> None:
    await port.start(head=0.1, body=0.1, keep_alive=0.1)
    waiting = await port.client(HEAD.replace(b"/ ", b"/wait ") + b"\r\n")
    await until(lambda: port.admission.open == 1)
    await asyncio.sleep(1.5)
    with pytest.raises(BlockingIOError):
        waiting.recv(1)


@pytest.mark.real_time
async def test_who_does_not_read_is_cut_off(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SEND_TIMEOUT", 0.3)
    await port.start(keep_alive=PATIENCE)
    await port.client(HEAD.replace(b"/ ", b"/large ") + b"\r\n")
    await until(lambda: port.admission.open == 1)
    await until(lambda: port.admission.open == 0)


@pytest.mark.real_time
async def test_who_reads_slowly_is_not(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SEND_TIMEOUT", 2.5)
    monkeypatch.setattr(endpoint, "SWEEP_INTERVAL", 0.05)
    await port.start()
    client = await port.client(
        HEAD.replace(b"/ ", b"/large ") + b"Connection: close\r\n\r\n", 1 << 16
    )
    got, loop = 0, asyncio.get_running_loop()
    begun = loop.time()
    while more := await receive(client):
        got += len(more)
        if loop.time() - begun < 5:
            await asyncio.sleep(0.02)
    assert got > LARGE


# --- sizes ------------------------------------------------------------------------------------


async def test_headers_are_bounded_in_all(port: Port) -> None:
    await port.start(head=PATIENCE)
    client = await port.client(HEAD)
    loop = asyncio.get_running_loop()
    with contextlib.suppress(ConnectionError):
        for number in range(40):
            await loop.sock_sendall(client, b"X-%d: " % number + b"y" * 8000 + b"\r\n")
    await until(lambda: port.admission.open == 0)


async def test_no_more_is_parsed_than_can_be_answered(port: Port) -> None:
    await port.start(keep_alive=PATIENCE)
    pipelined = HEAD.replace(b"/ ", b"/large ") + b"X: " + b"y" * 30000 + b"\r\n\r\n"
    client = await port.client()
    sent, pauses = 0, 0
    while pauses < 50:
        try:
            sent += client.send(pipelined[sent % len(pipelined) :])
            pauses = 0
            await asyncio.sleep(0)
        except BlockingIOError:
            pauses += 1
            await asyncio.sleep(0.01)
        assert sent < 32 << 20
    server = port.endpoint._server
    assert server is not None
    (served,) = server.connections
    assert len(served._messages) <= 4
    assert await port.status() == 200


# --- how many ---------------------------------------------------------------------------------


async def test_silent_strangers_lock_nobody_out(port: Port) -> None:
    await port.start(control_connections=5)
    strangers = [await port.client() for _ in range(30)]
    assert await port.status() == 200
    assert await rest(strangers[0]) == b""
    await until(lambda: port.admission.open <= 5)
    assert set(port.refused) == {"API"}
    assert len(port.refused) >= 26


async def test_who_is_right_stays_when_strangers_come(port: Port) -> None:
    await port.start(control_connections=5)
    hub = await port.client(RIGHT)
    assert status_of(await receive(hub)) == 200
    for _ in range(3):
        for _ in range(10):
            assert await port.status() == 200  # served, and nobody's
        await asyncio.get_running_loop().sock_sendall(hub, RIGHT)
        assert status_of(await receive(hub)) == 200


async def test_those_that_are_right_and_busy_are_not_closed(port: Port) -> None:
    await port.start(control_connections=2)
    waiting = RIGHT.replace(b"/ ", b"/wait ")
    busy = [await port.client(waiting) for _ in range(2)]
    server = port.endpoint._server
    assert server is not None
    await until(lambda: sum(each.proven for each in server.connections) == 2)
    assert await port.status() == 503
    for client in busy:
        with pytest.raises(BlockingIOError):
            client.recv(1)


async def test_connections_of_one_address_are_counted(port: Port) -> None:
    await port.start(control_address_connections=1)
    await port.client()
    await until(lambda: port.admission.open == 1)
    refusal = await receive(await port.client(GET))
    assert status_of(refusal) == 503
    assert b"\r\nRetry-After: 1\r\n" in refusal


async def test_limits_of_the_public_port_are_not_those_of_this_one(port: Port) -> None:
    await port.start(connections=1, address_connections=1)
    for _ in range(5):
        await port.client()
    assert await port.status() == 200
    assert not port.refused


async def test_new_limits_hold_from_now_on(port: Port) -> None:
    await port.start()
    await port.client()
    await until(lambda: port.admission.open == 1)
    port.endpoint.apply(WorkerConfig(limits=Limits(control_address_connections=1)))
    assert await port.status() == 503


async def test_a_unix_socket_has_the_same_limits(tmp_path: Path) -> None:
    port = Port(path=str(tmp_path / "api"))
    await port.start(control_connections=3, control_address_connections=1)
    for _ in range(10):
        await port.client()
    assert await port.status() == 200
    await until(lambda: port.admission.open <= 3)
    await port.stop()


async def test_http_where_tls_is_spoken_is_told_so(
    certificates: Files, caplog: pytest.LogCaptureFixture
) -> None:
    port = Port(tls=ServerTLS(cert=certificates.cert, key=certificates.key))
    await port.start()
    try:
        got = await rest(await port.client(GET))
        assert status_of(got) == 400
        assert b"Connection: close" in got
        assert b"https://" in got
        assert caplog.messages == ["the API port: 400 plain HTTP on an HTTPS port, from 127.0.0.1"]
    finally:
        await port.stop()


async def test_handshakes_count_and_have_their_time(certificates: Files) -> None:
    port = Port(ServerTLS(certificates.cert, certificates.key))
    await port.start(control_connections=3, head=0.5)
    for _ in range(10):
        await port.client()
    await until(lambda: len(port.refused) == 7)
    context = ssl.create_default_context(cafile=certificates.ca)
    reader, writer = await asyncio.open_connection(*port.address, ssl=context)
    writer.write(GET)
    assert (await reader.read(100)).startswith(b"HTTP/1.1 200 ")
    await until(lambda: port.admission.open == 1)
    writer.close()
    await until(lambda: port.admission.open == 0)
    await port.stop()
