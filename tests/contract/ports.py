"""Free TCP ports for a command that cannot be told to let the kernel choose."""

import contextlib
import os
import random
import socket
from collections.abc import Iterator

# Below the kernel's ephemeral range, where outgoing connections would take a port in between.
_CHOICE = range(12000, 30000, 2)
_random = random.Random(os.urandom(8))


def free_ports() -> tuple[int, int]:
    """Return two neighbouring ports on which nothing listens."""
    while True:
        port = _random.choice(_CHOICE)
        if is_free(port) and is_free(port + 1):
            return port, port + 1


def free_port() -> int:
    """Return a port on which nothing listens."""
    return free_ports()[0]


def distinct_ports(count: int) -> list[int]:
    """Return ports on which nothing listens, all different."""
    ports: set[int] = set()
    while len(ports) < count:
        ports.add(free_port())
    return list(ports)


def is_free(port: int, host: str = "") -> bool:
    """Say whether `port` can be bound on `host`, "" being every IPv4 interface."""
    with contextlib.suppress(OSError), socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        return True
    return False


@contextlib.contextmanager
def occupied() -> Iterator[int]:
    """Listen on a port for a while, so that nobody else can."""
    with socket.socket() as listener:
        listener.bind(("", free_port()))
        listener.listen()
        yield int(listener.getsockname()[1])
