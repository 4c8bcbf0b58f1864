"""TLS handshakes in a drain: whoever is connecting has a moment, silence holds nothing up."""

import asyncio
import contextlib
import ssl
from typing import Any

import pytest

from hubgate.dataplane import plane as plane_module
from hubgate.tasks import spawn
from tests.dataplane.conftest import StartFront
from tests.dataplane.peers import until
from tests.dataplane.wire import request


async def test_who_is_connecting_has_a_moment_for_it(
    start_front: StartFront, server_settings: dict[str, Any], client_tls: ssl.SSLContext
) -> None:
    front = await start_front(config=server_settings)
    coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_tls.wrap_bio(coming, going, server_hostname="127.0.0.1")
    wire = await front.client()
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    await wire.send(going.read())
    coming.write(await wire.read())
    ending = spawn(front.plane.drain(60), "drain")
    await asyncio.sleep(0.3)
    assert not ending.done()

    tls.do_handshake()
    tls.write(request("GET", "/_chp_healthz"))
    await wire.send(going.read())
    answer = b""
    while b"200 OK" not in answer:
        coming.write(await wire.read())
        with contextlib.suppress(ssl.SSLWantReadError):
            answer += tls.read(1000)
    wire.close()
    await ending


async def test_a_silent_handshake_does_not_hold_a_stop_up(
    start_front: StartFront, server_settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plane_module, "_HANDSHAKE", 0.2)
    front = await start_front(config=server_settings)
    wire = await front.client()
    await until(lambda: front.plane.admission.handshakes, "it is accepted")
    await spawn(front.plane.drain(60), "drain")
    assert await wire.read_rest() == b""


async def test_without_clients_a_retired_worker_ends_at_once(
    start_front: StartFront, server_settings: dict[str, Any]
) -> None:
    front = await start_front(config=server_settings)
    async with asyncio.timeout(front.plane.timeouts.head / 2):
        await spawn(front.plane.retire(60), "retire")
