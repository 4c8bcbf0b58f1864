"""An endpoint that gives its listeners to a successor."""

import asyncio
import socket
from contextlib import suppress

import pytest
import uvloop
from aiohttp import web

from hubgate.control.listening.sockets import listen
from hubgate.control.web import endpoint
from hubgate.control.web.endpoint import Endpoint
from hubgate.model import Address
from hubgate.tasks import spawn
from tests.control.serving import PATIENCE

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
