"""HTTP on a port that speaks TLS, TLS and other protocols on one that does not."""

import asyncio
import contextlib
import socket
import ssl
from typing import Any

import pytest

from hubgate.model import Timeouts
from hubgate.transport import arrivals
from tests.dataplane.conftest import StartFront
from tests.dataplane.peers import Front, until
from tests.dataplane.wire import Message, Wire, request

BOTH_LOOPS = pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"


async def refused(front: Front, sent: bytes, to: str = "GET") -> tuple[Message, Wire]:
    client = await front.client()
    await client.send(sent)
    return await client.read_response(to=to), client


@BOTH_LOOPS
@pytest.mark.parametrize(
    "sent",
    [
        request("GET", "/"),
        request("POST", "/", body=b"x" * 20000),
        request("GET", "/").lower(),
        b"\r\n" + request("GET", "/"),
        b"G",
        b"nonsense\r\n\r\n",
        PREFACE,
    ],
)
async def test_http_on_a_tls_port_is_told_to_use_https(
    start_front: StartFront,
    server_settings: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
    sent: bytes,
) -> None:
    front = await start_front(config=server_settings)
    got, client = await refused(front, sent)
    assert (got.status, got.get("connection")) == (400, "close")
    assert (got.get("content-type") or "").startswith("text/plain")
    assert got.body.count(b"\n") == 1
    assert b"https://" in got.body
    assert await client.read_rest() == b""
    assert front.plane.counters.cleartext_connections == {"public": 1}
    client.close()
    await until(lambda: front.open == 0, "it is counted no more")
    assert not front.plane.admission.handshakes
    line = "the public port: 400 plain HTTP on an HTTPS port, from 127.0.0.1"
    assert caplog.messages == [line]


async def test_the_response_to_a_head_has_no_body(
    start_front: StartFront, server_settings: dict[str, Any]
) -> None:
    front = await start_front(config=server_settings)
    got, client = await refused(front, request("HEAD", "/"), to="HEAD")
    assert got.status == 400
    assert await client.read_rest() == b""


async def test_a_flood_of_it_has_one_line(
    start_front: StartFront, server_settings: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    front = await start_front(config=server_settings)
    for _ in range(20):
        _, client = await refused(front, b"GET / HTTP/1.0\r\n\r\n")
        client.close()
    assert len(caplog.messages) == 1
    assert front.plane.counters.cleartext_connections == {"public": 20}


@BOTH_LOOPS
async def test_who_goes_on_sending_is_cut_off(
    start_front: StartFront, server_settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "_PARTING", 3600.0)
    front = await start_front(config=server_settings, timeouts=Timeouts(head=3600.0))
    _, client = await refused(front, request("GET", "/"))
    with contextlib.suppress(ConnectionError):
        for _ in range(64):  # four times what is read
            await client.send(bytes(1 << 12))
    await until(lambda: front.open == 0, "it is gone")


@pytest.mark.real_time
async def test_who_stays_is_closed_after_a_moment(
    start_front: StartFront, server_settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "_PARTING", 0.1)
    front = await start_front(config=server_settings, timeouts=Timeouts(head=3600.0))
    await refused(front, request("GET", "/"))
    await until(lambda: front.open == 0, "its client has not closed")


@BOTH_LOOPS
@pytest.mark.parametrize("piece", [1, 7, 100])
async def test_a_handshake_may_come_in_pieces(
    start_front: StartFront, server_settings: dict[str, Any], client_tls: ssl.SSLContext, piece: int
) -> None:
    front = await start_front(config=server_settings)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_tls.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    client = await front.client()
    client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    loop = asyncio.get_running_loop()

    async def send() -> None:
        data = outgoing.read()
        for at in range(0, len(data), piece):
            await client.send(data[at : at + piece])
            await asyncio.sleep(0)

    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            await send()
            incoming.write(await loop.sock_recv(client.socket, 65536))
    tls.write(request("GET", "/_chp_healthz"))
    await send()
    got = b""
    while b'"OK"' not in got:
        try:
            got += tls.read(65536)
        except ssl.SSLWantReadError:
            incoming.write(await asyncio.wait_for(loop.sock_recv(client.socket, 65536), 20))
    assert got.startswith(b"HTTP/1.1 200 ")


@BOTH_LOOPS
@pytest.mark.parametrize("sent", [b"\0\1\2\3", b"\x80\x2e\1\0\2", b"\xff" * 70000, b"\x16\3\1GET"])
async def test_what_is_neither_ends_without_a_word(
    start_front: StartFront, server_settings: dict[str, Any], sent: bytes
) -> None:
    front = await start_front(config=server_settings)
    client = await front.client()
    await client.send(sent)
    client.socket.shutdown(socket.SHUT_WR)
    assert b"HTTP" not in await client.read_rest()
    await until(lambda: front.open == 0, "it is gone")
    assert front.plane.counters.cleartext_connections == {}


def client_hello() -> bytes:
    outgoing = ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="hub")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("piece", [1, 100_000])
@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (client_hello(), "TLS on a port without it"),
        (PREFACE, "HTTP/2"),
        (b"SSH-2.0-x\r\n", "malformed request"),
        (b"\0\1\2\3\r\n\r\n", "malformed request"),
        (b"\x05\1\0", "malformed request"),
    ],
)
async def test_other_protocols_on_a_plain_port_get_a_400_and_a_line_that_says_so(
    front: Front, caplog: pytest.LogCaptureFixture, sent: bytes, reason: str, piece: int
) -> None:
    client = await front.client()
    for at in range(0, len(sent), piece):
        try:
            await client.send(sent[at : at + piece])
        except ConnectionError:
            break
        await asyncio.sleep(0)
    got = await client.read_response()
    assert (got.status, got.get("connection")) == (400, "close")
    (line,) = caplog.messages
    assert line.startswith("400 - ")
    assert reason in line
