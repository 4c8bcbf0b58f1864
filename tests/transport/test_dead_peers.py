"""What the kernel is told about probing a connection's peer, as read back from real sockets."""

import asyncio
import socket
import sys
from collections.abc import Callable, Iterator

import pytest
import uvloop

from hubgate.model import TcpKeepalive
from hubgate.transport.dead_peers import probe_options, probe_peer, probe_transport_peer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="options have other names here")

PROBES = TcpKeepalive(idle=7, interval=3, count=2)


def probes_of(sock: socket.socket) -> tuple[int, ...]:
    """Return whether probes are sent, and the settings of them."""
    options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
    timing = (sock.getsockopt(socket.IPPROTO_TCP, option) for option in options)
    return (sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), *timing)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


def test_connections_inherit_it(listener: socket.socket) -> None:
    probe_peer(listener, probe_options(PROBES))
    with socket.create_connection(listener.getsockname()), listener.accept()[0] as accepted:
        assert probes_of(accepted) == (1, 7, 3, 2)


def test_it_is_turned_off(listener: socket.socket) -> None:
    probe_peer(listener, probe_options(PROBES))
    probe_peer(listener, probe_options(TcpKeepalive(idle=None)))
    assert probes_of(listener)[0] == 0


def test_a_connection_that_has_ended_is_no_mistake(listener: socket.socket) -> None:
    listener.close()
    probe_peer(listener, probe_options(PROBES))


def test_the_default_notices_a_dead_peer_in_two_minutes() -> None:
    default = TcpKeepalive()
    assert default.idle is not None
    assert default.idle + default.interval * default.count == 120


@pytest.mark.parametrize("new_loop", [uvloop.new_event_loop, asyncio.new_event_loop])
def test_a_transport(
    listener: socket.socket, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def connect() -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(asyncio.Protocol, *listener.getsockname())
        probe_transport_peer(transport, probe_options(PROBES))
        sock = transport.get_extra_info("socket")
        assert probes_of(sock) == (1, 7, 3, 2)
        transport.write(b"it still works")
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.recv(100) == b"it still works"
        transport.abort()
        probe_transport_peer(transport, probe_options(PROBES))

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(connect())
