"""When the data plane gives memory back that it has no use for."""

import asyncio
import ssl

import pytest

from hubgate.dataplane import plane
from hubgate.dataplane.downstream import connection as downstream
from hubgate.model import ClientTLS
from hubgate.transport.allocator import FreeMemory
from hubgate.upstream import connection as upstream
from tests.certificates.made import Files
from tests.dataplane.conftest import StartFront, StartTarget
from tests.dataplane.peers import Front, hello, until
from tests.dataplane.wire import request


async def test_free_memory_goes_back_every_few_seconds(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[bool] = []
    monkeypatch.setattr(FreeMemory, "give_back", lambda _, idle: told.append(idle))
    monkeypatch.setattr(plane, "_SWEEP_INTERVAL", 0.01)
    await until(lambda: told, "it is given back")
    assert told.pop()

    client = await front.client()
    await until(lambda: front.open, "somebody is there")
    told.clear()
    await until(lambda: told, "it is given back again")
    assert not told.pop()

    client.close()
    await until(lambda: told and told[-1], "nobody is there any more")


@pytest.mark.parametrize("tls", [True, False])
async def test_every_tls_connection_gives_its_buffer_back(
    start_front: StartFront,
    start_target: StartTarget,
    server_tls: ssl.SSLContext,
    certificates: Files,
    client_tls: ssl.SSLContext,
    server_settings: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
    tls: bool,
) -> None:
    emptied: list[asyncio.BaseTransport] = []
    for module in (downstream, upstream):
        monkeypatch.setattr(module, "discard_read_buffer", emptied.append)
    target = await start_target(hello, tls=server_tls if tls else None)
    authority = {"client_tls": ClientTLS(ca=certificates.ca)}
    front = await start_front(config={**server_settings, **authority} if tls else {})
    front.route("/", target.url)
    wire = await (front.tls_client(client_tls) if tls else front.client())
    await wire.send(request("GET", "/"))
    assert (await wire.read_response()).status == 200
    (client,) = front.plane._listener.clients
    behind = front.plane.connector.take(next(iter(front.plane.pool._idle)))
    assert behind is not None
    assert emptied == ([client.transport, behind.transport] if tls else [])
    behind.abort()
