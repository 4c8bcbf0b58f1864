"""How many connections the limit on open files leaves to each port.

What a process needs for itself is kept back: a worker its log files, name lookups and error
pages, the supervisor what it takes to replace every worker, to write its store and to upgrade.
"""

import os
import resource
from typing import NamedTuple

# Files that a process keeps open or opens now and then, connections answered over a limit included.
_OWN_USE = 64
# For each worker: its link, its replacement's, and the pipes to start that; a copy of its sockets
# during an upgrade.
_PER_WORKER = 8
# The most that the redirect port, and idle connections to targets, take from the public port.
_LEAST_BESIDE = 256
_FEWEST = 8


class WorkerShare(NamedTuple):
    """Connections of a worker: of clients on each kind of port, and idle ones to targets."""

    public: int
    redirect: int
    idle: int


def files_allowed() -> int:
    """Return how many files this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else 1 << 30


def files_open() -> int:
    """Return how many files this process has open."""
    return len(os.listdir("/dev/fd"))


def worker_share(allowed: int, wanted: int | None) -> WorkerShare:
    """Return what a worker has for connections if `allowed` files may be open.

    A proxied connection takes two: its client's and its target's. `wanted` of them are enough;
    with None there are never enough.
    """
    free = max(allowed - _OWN_USE, 0)
    least = max(min(free // 8, _LEAST_BESIDE), _FEWEST)
    public = max((free - 2 * least) // 2, _FEWEST)
    if wanted is not None:
        public = min(public, wanted)
    beside = max((free - 2 * public) // 2, least)
    return WorkerShare(public, beside, beside)


def control_share(allowed: int, used: int, workers: int, ports: int = 2) -> int:
    """Return how many connections each of the supervisor's ports may have: API, metrics, health.

    `used` counts the files it has open before it accepts any.
    """
    return max((allowed - used - _OWN_USE - workers * _PER_WORKER) // ports, _FEWEST)
