"""TLS handshakes: they count as connections, from accept on, and have only so much time."""

import socket
import ssl
from typing import Any

import pytest

from hubgate.model import Limits, Timeouts
from tests.dataplane.conftest import StartFront
from tests.dataplane.peers import Front, until
from tests.dataplane.wire import request

BOTH_LOOPS = pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])


async def silent(front: Front, count: int) -> None:
    """Open connections that never begin their handshake."""
    for _ in range(count):
        await front.client()


async def served(front: Front, context: ssl.SSLContext) -> bool:
    """Ask on a new connection over TLS."""
    client = await front.tls_client(context)
    await client.send(request("GET", "/_chp_healthz"))
    return (await client.read_response()).status == 200


@BOTH_LOOPS
async def test_one_that_has_not_begun_counts(
    start_front: StartFront, server_settings: dict[str, Any], client_tls: ssl.SSLContext
) -> None:
    front = await start_front(config=server_settings)
    await silent(front, 5)
    await until(lambda: front.open == 5, "all are counted")
    assert await served(front, client_tls)
    assert front.open == 6
    for client in front.clients:
        client.close()
    await until(lambda: front.open == 0, "none is counted any more")


@BOTH_LOOPS
async def test_what_is_no_handshake_counts_no_more(
    start_front: StartFront, server_settings: dict[str, Any]
) -> None:
    front = await start_front(config=server_settings)
    client = await front.client()
    await client.send(request("GET", "/"))
    await client.read_rest()
    await until(lambda: front.open == 0, "it is gone")
    assert not front.plane.admission.handshakes


@BOTH_LOOPS
async def test_those_that_never_begin_lock_nobody_out(
    start_front: StartFront, server_settings: dict[str, Any], client_tls: ssl.SSLContext
) -> None:
    front = await start_front(config=server_settings, limits=Limits(connections=3))
    await silent(front, 20)
    assert await served(front, client_tls)
    await until(lambda: front.plane.admission.open <= 3, "no more than allowed")
    assert front.plane.counters.connections_refused["public"] >= 18


async def test_they_count_by_address(
    start_front: StartFront, server_settings: dict[str, Any], client_tls: ssl.SSLContext
) -> None:
    front = await start_front(config=server_settings, limits=Limits(address_connections=2))
    await silent(front, 2)
    await until(lambda: front.open == 2, "both are counted")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await served(front, client_tls)
    assert front.open == 2


@pytest.mark.real_time
@BOTH_LOOPS
@pytest.mark.parametrize("sent", [b"", b"\x16", b"\x16\x03\x01\x02\x00", b"\0\0\0"])
async def test_they_have_the_time_of_a_head(
    start_front: StartFront, server_settings: dict[str, Any], sent: bytes
) -> None:
    front = await start_front(config=server_settings, timeouts=Timeouts(head=0.2))
    client = await front.client()
    await client.send(sent)
    assert await client.ending() in ("end", "reset")
    await until(lambda: front.open == 0, "it is gone")


async def test_new_settings_hold_for_the_next_handshake(
    start_front: StartFront, server_settings: dict[str, Any], client_tls: ssl.SSLContext
) -> None:
    front = await start_front(config=server_settings)
    await silent(front, 1)
    await front.plane.reconfigure(front.config)
    assert await served(front, client_tls)
    assert front.open == 2


async def test_a_unix_socket_counts_them_as_well(
    start_front: StartFront,
    server_settings: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = str(tmp_path_factory.mktemp("s") / "s")
    sock = socket.socket(socket.AF_UNIX)
    sock.setblocking(False)
    sock.bind(path)
    sock.listen(100)
    front = await start_front(
        config=server_settings, sock=sock, limits=Limits(connections=3, address_connections=1)
    )
    await silent(front, 5)
    await until(lambda: front.plane.counters.connections_refused["public"] == 2, "two too many")
    await until(lambda: front.plane.admission.open == 3, "three are left")
