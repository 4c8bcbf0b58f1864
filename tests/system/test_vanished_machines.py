"""A client or a target whose machine is gone, without a last word: idle tunnels end in time."""

import contextlib
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.frames import TEXT, frame
from tests.system.namespaces import Namespaces, namespaces, needs_namespaces
from tests.system.served import Served, serving
from tests.system.sockets import Wire

pytestmark = [pytest.mark.processes, pytest.mark.real_time, needs_namespaces]

SETTINGS = """
listen: {host: "*", no_ssl: true}
tcp_keepalive: {idle: 1, interval: 1, count: 2}
"""
HERE, THERE = "10.77.0.1", "10.77.0.2"
ASK = (
    b"GET %s HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
NEWS = frame(TEXT, b"news")


class Machines:
    """Two machines and the cable between them; hubgate is at HERE."""

    def __init__(self, here: Namespaces, there: Namespaces, served: Served) -> None:
        self._here = here
        self._there = there
        self.served = served

    def listener(self, *, there: bool) -> socket.socket:
        """Return a target's socket on one of the machines."""
        with (self._there if there else self._here).entered():
            return socket.create_server((THERE if there else HERE, 0))

    def client(self, path: bytes, *, there: bool) -> Wire:
        """Ask for a tunnel from one of the machines."""
        with (self._there if there else self._here).entered():
            wire = Wire(socket.create_connection((HERE, self.served.port), 30))
        wire.send(ASK % path)
        return wire

    def vanish(self) -> None:
        """Cut the other machine off: what is sent to it arrives nowhere."""
        with self._there.entered():
            _ip("link", "set", "there", "down")

    @contextlib.contextmanager
    def tunnel(self, path: str, *, client: bool, target: bool) -> Iterator[tuple[Wire, Wire]]:
        """Open a tunnel; say for both ends whether they are there. Return the two ends."""
        with self.listener(there=target) as listener:
            host, port = listener.getsockname()
            self.served.add(path, f"http://{host}:{port}")
            with self.client(path.encode(), there=client) as one:
                listener.settimeout(30)
                with Wire(listener.accept()[0]) as other:
                    other.read_head()
                    other.send(SWITCH)
                    assert one.status == 101
                    yield one, other


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    (tmp_path / "routes.yaml").write_text(SETTINGS)
    with namespaces(tmp_path) as here, namespaces(tmp_path) as there:
        with here.entered():
            _ip("link", "add", "here", "type", "veth", "peer", "there", "netns", str(there.pid))
            _ip("address", "add", f"{HERE}/24", "dev", "here")
            _ip("link", "set", "here", "up")
        with there.entered():
            _ip("address", "add", f"{THERE}/24", "dev", "there")
            _ip("link", "set", "there", "up")
        with here.entered(), serving(tmp_path) as served:
            yield Machines(here, there, served)


def test_an_idle_tunnel_ends_when_its_targets_machine_is_gone(machines: Machines) -> None:
    with (
        machines.tunnel("/near", client=False, target=False) as (near, living),
        machines.tunnel("/far", client=False, target=True) as (client, _),
    ):
        machines.vanish()
        assert client.ends()
        living.send(NEWS)
        assert near.socket.recv(len(NEWS), socket.MSG_WAITALL) == NEWS


def test_an_idle_tunnel_ends_when_its_clients_machine_is_gone(machines: Machines) -> None:
    with machines.tunnel("/near", client=True, target=False) as (_, target):
        machines.vanish()
        assert target.ends()
