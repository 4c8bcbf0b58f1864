"""Tunnels of clients that speak TLS: how they end, and what they leave behind."""

import gc
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from hubgate.dataplane.tunnels.tunnel import Tunnel, TunnelEnd
from tests.dataplane.conftest import StartFront
from tests.dataplane.peers import Front, Target
from tests.dataplane.tunnels.tunnels import RAW, RAW_SWITCH, closed, opened
from tests.dataplane.wire import Wire, request


@pytest.fixture
async def secure(start_front: StartFront, server_settings: dict[str, Any], target: Target) -> Front:
    front = await start_front(config=server_settings)
    front.route("/", target.url)
    return front


@pytest.fixture
def no_collections() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class Slow:
    """A client whose TLS does nothing by itself: not even the goodbye is answered."""

    def __init__(self, wire: Wire, context: ssl.SSLContext) -> None:
        self._wire = wire
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._in, self._out, server_hostname="127.0.0.1")

    async def shake_hands(self) -> None:
        while True:
            try:
                self.tls.do_handshake()
                return
            except ssl.SSLWantReadError:
                await self.flush()
                self._in.write(await self._wire.read())

    async def flush(self) -> None:
        await self._wire.send(self._out.read())

    async def read(self) -> bytes:
        while True:
            try:
                return self.tls.read()
            except ssl.SSLWantReadError:
                self._in.write(await self._wire.read())


@pytest.mark.parametrize("last", [b"", b"words that nobody will read"])
async def test_a_client_may_say_its_goodbye_when_the_target_is_gone(
    secure: Front, target: Target, client_tls: ssl.SSLContext, last: bytes
) -> None:
    client = Slow(await secure.client(), client_tls)
    await client.shake_hands()
    client.tls.write(request("GET", "/ws", *RAW))
    await client.flush()
    wire = await target.accept()
    await wire.read_request()
    await wire.send(RAW_SWITCH)
    assert (await client.read()).startswith(b"HTTP/1.1 101 ")
    if last:
        client.tls.write(last)
    wire.reset()
    assert await client.read() == b""
    client.tls.unwrap()
    await client.flush()
    await closed(secure)


@pytest.mark.parametrize("first", ["client", "target"])
async def test_a_closed_tunnel_needs_no_collection(
    secure: Front, target: Target, client_tls: ssl.SSLContext, first: str, no_collections: None
) -> None:
    for _ in range(5):
        client, wire = await opened(secure, target, client=await secure.tls_client(client_tls))
        one, other = (client, wire) if first == "client" else (wire, client)
        one.close()
        assert await other.ending() in ("end", "reset")
        other.close()
        await closed(secure)
    del client, wire, one, other
    left = [each for each in gc.get_objects() if isinstance(each, (Tunnel, TunnelEnd))]
    assert left == []
