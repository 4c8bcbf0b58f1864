"""How much is measured: enough for the published table, or a quick look."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Counts, and seconds; `warm_up` precedes every figure and is not counted.

    `first_warm_up` is for a proxy that has just started: code compiled at run time needs longer.

    `rounds` is how often each traffic row is measured, `repeats` how often all others are; `idle`
    tunnels show what one costs, `tunnels` is how many a large hub has; `crowd_tunnels` and
    `crowd_heads` are connected while a normal client's latency is measured.
    """

    rounds: int = 5
    repeats: int = 5
    seconds: float = 1.6
    warm_up: float = 0.4
    first_warm_up: float = 2.0
    routes: int = 100_000
    changes: int = 500
    idle: int = 2_000
    tunnels: int = 10_000
    crowd_tunnels: int = 5_000
    crowd_heads: int = 2_000
    readers: int = 200
    requests: int = 3_000
    gib: float = 1.0


FULL = Scale()
QUICK = Scale(
    rounds=1,
    repeats=1,
    seconds=0.6,
    warm_up=0.2,
    first_warm_up=1.0,
    routes=5_000,
    changes=200,
    idle=1_000,
    tunnels=2_000,
    crowd_tunnels=1_000,
    crowd_heads=400,
    requests=1_000,
    gib=0.25,
)
