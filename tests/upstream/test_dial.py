"""Opening connections: TCP, TLS and unix sockets, in a bounded time."""

import asyncio
import socket
import ssl
from pathlib import Path
from typing import cast

import pytest

from hubgate.certificates.contexts import client_context
from hubgate.errors import ConnectError
from hubgate.model import ClientTLS, Timeouts
from hubgate.routing.target import Peer
from hubgate.tasks import spawn
from tests.certificates.made import Files, make_files
from tests.dataplane.conftest import StartTarget
from tests.dataplane.peers import Target, listening, open_files, until
from tests.upstream.pooled import dialer


async def opened(
    peer: Peer, tls: ssl.SSLContext | None = None, timeout: float = 5
) -> asyncio.Transport:
    """Connect and return the transport."""
    made: list[asyncio.BaseTransport] = []

    class Client(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            made.append(transport)

    protocol = await dialer(Timeouts(connect=timeout), tls).connect(peer, Client)
    assert isinstance(protocol, Client)
    (transport,) = made
    return cast(asyncio.Transport, transport)


async def test_tcp(target: Target) -> None:
    transport = await opened(Peer("127.0.0.1", target.port))
    transport.write(b"hello")

    assert await (await target.accept()).read_exactly(5) == b"hello"
    transport.abort()


async def test_ipv6(start_target: StartTarget) -> None:
    target = await start_target(family=socket.AF_INET6, address=("::1", 0))
    transport = await opened(Peer("::1", target.port))

    await target.accept()
    transport.abort()


async def test_a_unix_socket(start_target: StartTarget, tmp_path: Path) -> None:
    path = str(tmp_path / "a b.sock")
    target = await start_target(family=socket.AF_UNIX, address=path)
    transport = await opened(Peer(unix=path))

    await target.accept()
    transport.abort()


async def test_tls(
    start_target: StartTarget, server_tls: ssl.SSLContext, certificates: Files
) -> None:
    target = await start_target(tls=server_tls)
    tls = client_context(ClientTLS(ca=certificates.ca))
    transport = await opened(Peer("127.0.0.1", target.port, tls=True), tls)
    transport.write(b"hello")

    assert await (await target.accept()).read_exactly(5) == b"hello"
    transport.abort()


async def test_a_peer_without_tls_is_never_asked_for_it(target: Target) -> None:
    transport = await opened(Peer("127.0.0.1", target.port), ssl.create_default_context())
    transport.write(b"plain")

    assert await (await target.accept()).read_exactly(5) == b"plain"
    transport.abort()


# --- what goes wrong -------------------------------------------------------------------------


async def failure(peer: Peer, tls: ssl.SSLContext | None = None, timeout: float = 5) -> str:
    """Try to connect and return the one line that says why it failed."""
    with pytest.raises(ConnectError) as caught:
        await opened(peer, tls, timeout)
    assert caught.value.status == 503
    line = str(caught.value)
    assert str(peer) in line
    assert "\n" not in line
    return line


async def test_nobody_there(refusing: socket.socket) -> None:
    assert "refused" in (await failure(Peer(*refusing.getsockname()))).lower()


async def test_no_such_host() -> None:
    await failure(Peer("no-such-host.invalid", 80))


async def test_a_name_that_cannot_be_one() -> None:
    await failure(Peer("a" * 64 + ".invalid", 80))


async def test_no_such_unix_socket(tmp_path: Path) -> None:
    line = await failure(Peer(unix=str(tmp_path / "none.sock")))

    assert "no such file" in line.lower()


async def test_a_unix_socket_that_nobody_serves(tmp_path: Path) -> None:
    path = str(tmp_path / "dead.sock")
    listening(socket.AF_UNIX, path).close()

    assert "refused" in (await failure(Peer(unix=path))).lower()


async def test_a_certificate_nobody_signed(
    start_target: StartTarget, server_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    target = await start_target(tls=server_tls)
    stranger = make_files(tmp_path)
    tls = client_context(ClientTLS(ca=stranger.ca))
    before = open_files()

    await failure(Peer("127.0.0.1", target.port, tls=True), tls)
    await until(lambda: open_files() <= before, "nothing stays open")


async def test_a_certificate_for_somebody_else(start_target: StartTarget, tmp_path: Path) -> None:
    files = make_files(tmp_path, hosts=("hub.example",))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.cert, files.key)
    target = await start_target(tls=context)
    peer = Peer("127.0.0.1", target.port, tls=True)

    await failure(peer, client_context(ClientTLS(ca=files.ca)))
    trusting = client_context(ClientTLS(ca=files.ca, check_hostname=False))
    (await opened(peer, trusting)).abort()


async def test_no_tls_where_it_was_expected(target: Target, certificates: Files) -> None:
    tls = client_context(ClientTLS(ca=certificates.ca))

    async def answer() -> None:
        await (await target.accept()).send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    spawn(answer(), "a plain answer")
    await failure(Peer("127.0.0.1", target.port, tls=True), tls)


async def test_a_peer_that_hangs_up_during_the_handshake(
    target: Target, certificates: Files
) -> None:
    tls = client_context(ClientTLS(ca=certificates.ca))

    async def hang_up() -> None:
        (await target.accept()).close()

    spawn(hang_up(), "hang up")
    await failure(Peer("127.0.0.1", target.port, tls=True), tls)


async def test_a_silent_peer_is_waited_for_so_long(target: Target, certificates: Files) -> None:
    tls = client_context(ClientTLS(ca=certificates.ca))
    line = await failure(Peer("127.0.0.1", target.port, tls=True), tls, timeout=0.2)

    assert "0.2 s" in line


async def test_a_backlog_that_is_full_is_waited_for_so_long() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        fillers = [socket.socket() for _ in range(8)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        before = open_files()
        line = await failure(Peer(*address), timeout=0.3)
        await until(lambda: open_files() <= before, "nothing stays open")
        for filler in fillers:
            filler.close()

    assert "0.3 s" in line


async def test_giving_up_leaves_nothing_open(target: Target, certificates: Files) -> None:
    tls = client_context(ClientTLS(ca=certificates.ca))
    before = open_files()
    attempt = spawn(opened(Peer("127.0.0.1", target.port, tls=True), tls), "an attempt")
    wire = await target.accept()
    attempt.cancel()
    await asyncio.gather(attempt, return_exceptions=True)

    assert await wire.drain() in ("end", "reset")
    wire.close()
    await until(lambda: open_files() <= before, "nothing stays open")
