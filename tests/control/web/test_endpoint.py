"""An endpoint that gives its listeners to a successor."""

import asyncio
import json
import socket
from contextlib import suppress

import pytest
import uvloop
from aiohttp import web

from hubgate.control.listening.sockets import listen
from hubgate.control.web import endpoint
from hubgate.control.web.endpoint import Endpoint
from hubgate.model import Address, TcpKeepalive, WorkerConfig
from hubgate.tasks import spawn
from tests.control.serving import PATIENCE
from tests.control.waiting import until

ASKED = b"GET / HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n"
# Of the event loop; the first of these it has not accepted, the last it knows all about.
TURNS = range(6)
# The request may take some more.
TAKEN = 30


async def hello(_: web.Request) -> web.Response:
    return web.Response(text="hello")


async def came(turns: int) -> tuple[bool, bytes]:
    """Ask an endpoint that suspends itself so many turns after the connection was made.

    Returns whether the connection was left to a successor, and what was answered by then.
    """
    app = web.Application()
    app.router.add_get("/", hello)
    listener = listen(Address("127.0.0.1", 0))
    older = Endpoint(app, [listener])
    await older.start()
    with (
        listener.sockets[0].dup() as shared,
        socket.create_connection(("127.0.0.1", listener.address.port)) as client,
    ):
        for _ in range(turns):
            await asyncio.sleep(0)
        suspending = spawn(older.suspend(), "suspend")
        for _ in range(TAKEN):
            await asyncio.sleep(0)
        client.sendall(ASKED)
        await suspending
        client.setblocking(False)
        with suppress(BlockingIOError):
            shared.accept()[0].close()
            return True, b""
        return False, client.recv(4096)


@pytest.mark.parametrize("turns", TURNS)
def test_whoever_comes_while_it_suspends_waits_or_is_answered(
    turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "ARRIVAL_LIMIT", PATIENCE)
    left, answer = uvloop.run(came(turns))
    assert left or answer.endswith(b"\r\n\r\nhello")
    assert not left or turns < TURNS[-1]


# --- connections on which nothing has been asked yet -------------------------------------------

KEPT = ASKED.replace(b"Connection: close\r\n", b"")


async def suspended(*parts: bytes) -> tuple[asyncio.Task[None], socket.socket]:
    """Return an endpoint's suspension, begun, and a connection that has sent `parts` before."""
    app = web.Application()
    app.router.add_get("/", hello)
    listener = listen(Address("127.0.0.1", 0))
    older = Endpoint(app, [listener])
    await older.start()
    loop = asyncio.get_running_loop()
    client = socket.create_connection(("127.0.0.1", listener.address.port))
    client.setblocking(False)
    for part in parts:
        await loop.sock_sendall(client, part)
        await asyncio.wait_for(loop.sock_recv(client, 4096), PATIENCE)
    server = older._runner.server
    assert server is not None
    await until(lambda: server.connections)
    return spawn(older.suspend(), "suspend"), client


@pytest.mark.real_time
async def test_a_first_request_may_come_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "ARRIVAL_LIMIT", 0.05)
    monkeypatch.setattr(endpoint, "FIRST_REQUEST_LIMIT", PATIENCE)
    suspending, client = await suspended()
    with client:
        await asyncio.sleep(0.3)
        assert not suspending.done()
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(client, ASKED)
        answer = b""
        while part := await asyncio.wait_for(loop.sock_recv(client, 4096), PATIENCE):
            answer += part
        await asyncio.wait_for(suspending, PATIENCE)
    assert answer.endswith(b"\r\n\r\nhello")


async def test_one_that_has_asked_before_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "ARRIVAL_LIMIT", 0.05)
    monkeypatch.setattr(endpoint, "FIRST_REQUEST_LIMIT", 10 * PATIENCE)
    suspending, client = await suspended(KEPT)
    with client:
        await asyncio.wait_for(suspending, PATIENCE)
        assert client.recv(4096) == b""


async def test_one_that_never_asks_is_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endpoint, "ARRIVAL_LIMIT", 0.05)
    monkeypatch.setattr(endpoint, "FIRST_REQUEST_LIMIT", 0.2)
    suspending, client = await suspended()
    with client:
        await asyncio.wait_for(suspending, PATIENCE)
        assert client.recv(4096) == b""


# --- connections that are kept -------------------------------------------------------------------


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Return the head of an answer to one more request."""
    writer.write(KEPT)
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
    assert await asyncio.wait_for(reader.readexactly(5), PATIENCE) == b"hello"
    return head


@pytest.mark.parametrize("end", ["suspend", "close"])
async def test_a_close_is_announced(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "ARRIVAL_LIMIT", PATIENCE)
    app = web.Application()
    app.router.add_get("/", hello)
    listener = listen(Address("127.0.0.1", 0))
    older = Endpoint(app, [listener])
    await older.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.address.port)
    assert b"\r\nConnection:" not in await ask(reader, writer)
    ending = spawn(older.suspend() if end == "suspend" else older.close(4 * PATIENCE), end)
    await until(lambda: older._last_responses.begun)

    assert b"\r\nConnection: close\r\n" in await ask(reader, writer)
    assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
    writer.close()
    await asyncio.wait_for(ending, PATIENCE)


# --- clients whose machine is gone ---------------------------------------------------------------


PROBES = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)


async def look(request: web.Request) -> web.Response:
    """Answer with the probes of the connection that was accepted."""
    sock = request.get_extra_info("socket")
    probed = sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    return web.json_response(
        [probed, *(sock.getsockopt(socket.IPPROTO_TCP, each) for each in PROBES)]
    )


async def probes_of_a_new_one(port: int) -> object:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(ASKED)
    got = await asyncio.wait_for(reader.read(), PATIENCE)
    writer.close()
    return json.loads(got.partition(b"\r\n\r\n")[2])


async def test_new_connections_are_probed_as_the_settings_say() -> None:
    app = web.Application()
    app.router.add_get("/", look)
    listener = listen(Address("127.0.0.1", 0))
    one = Endpoint(app, [listener])
    one.apply(WorkerConfig(tcp_keepalive=TcpKeepalive(61, 16, 5)))
    await one.start()
    try:
        assert await probes_of_a_new_one(listener.address.port) == [1, 61, 16, 5]
        one.apply(WorkerConfig(tcp_keepalive=TcpKeepalive(62, 17, 6)))
        assert await probes_of_a_new_one(listener.address.port) == [1, 62, 17, 6]
        one.apply(WorkerConfig(tcp_keepalive=TcpKeepalive(None)))
        assert await probes_of_a_new_one(listener.address.port) == [0, 62, 17, 6]
    finally:
        await one.close()
