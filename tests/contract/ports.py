"""Free TCP ports for a command that cannot be told to let the kernel choose."""

import contextlib
import itertools
import os
import random
import socket
from collections.abc import Iterator

# Below the kernel's ephemeral range, where outgoing connections would take a port in between.
_CHOICE = range(12000, 30000, 2)


def _shuffled() -> Iterator[int]:
    """Yield the ports of this process's share, in an order of its own, again and again.

    Between the choice of a port and its use is the start of a program: tests that run at the
    same time choose from different ones, and none comes twice until all others have come.
    """
    share = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    shares = os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")
    ports = list(_CHOICE[int(share) :: int(shares)])
    random.Random(os.urandom(8)).shuffle(ports)
    return itertools.cycle(ports)


_next_ports = _shuffled()


def free_ports() -> tuple[int, int]:
    """Return two neighbouring ports on which nothing listens."""
    port = next(port for port in _next_ports if is_free(port) and is_free(port + 1))
    return port, port + 1


def free_port() -> int:
    """Return a port on which nothing listens."""
    return free_ports()[0]


def distinct_ports(count: int) -> list[int]:
    """Return ports on which nothing listens, all different."""
    return [free_port() for _ in range(count)]


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
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("", free_port()))
        listener.listen()
        yield int(listener.getsockname()[1])
