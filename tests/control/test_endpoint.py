"""An endpoint that gives its listeners to a successor."""

import asyncio
import socket

import pytest
from aiohttp import web

from proxy.control.endpoint import Endpoint
from proxy.control.sockets import Listener, listen
from proxy.model import Address
from proxy.tasks import spawn
from tests.control.serving import PATIENCE

ASKED = b"GET / HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n"
# Of the event loop; the first of these it has not accepted, the last it knows all about.
TURNS = range(6)


async def hello(_: web.Request) -> web.Response:
    return web.Response(text="hello")


def endpoint(listener: Listener) -> Endpoint:
    app = web.Application()
    app.router.add_get("/", hello)
    return Endpoint(app, [listener])


@pytest.mark.parametrize("turns", TURNS)
async def test_whoever_comes_while_it_suspends_is_answered_by_one_of_both(turns: int) -> None:
    listener = listen(Address("127.0.0.1", 0))
    older = endpoint(listener)
    newer = endpoint(Listener(listener.address, [listener.sockets[0].dup()]))
    await older.start()
    client = socket.create_connection(("127.0.0.1", listener.address.port))
    for _ in range(turns):
        await asyncio.sleep(0)
    suspending = spawn(older.suspend(), "suspend")
    await asyncio.sleep(0)
    client.sendall(ASKED)
    await suspending
    await newer.start()
    client.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=client)
    answer = await asyncio.wait_for(reader.read(), PATIENCE)
    writer.close()
    await newer.close()
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"hello")
