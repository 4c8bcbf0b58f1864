"""Many connections at once: their memory, and their effect on other clients."""

import statistics
import time
from collections.abc import Mapping

from benchmarks.catalogue import HUBGATE
from benchmarks.contenders import OPEN_FILES, Contender, Running, Setup
from benchmarks.load import crowd, latencies
from benchmarks.processes import memory_bytes
from benchmarks.traffic import Context, take_p99, wait_and_warm_up

KIB = 1 << 10
MIB = 1 << 20
# Opened before the first measurement, so that one-time allocations are not counted.
FIRST = 300
LARGE_WORKERS = 2


def take_memory_of_idle(context: Context, contender: Contender) -> None:
    """Measure the memory of one more idle connection and tunnel, each on a fresh proxy.

    Fresh, because memory freed after an earlier load would be reused.
    """
    for key, kind in (("memory-connection", "kept"), ("memory-tunnel", "tunnel")):
        for _ in range(min(2, context.scale.repeats)):
            with (
                context.record.attempt([key], contender.name),
                contender.start(context.site, Setup()) as started,
                crowd(started.port, {kind: FIRST}),
            ):
                before = memory_bytes(started.process)
                with crowd(started.port, {kind: context.scale.idle}) as came:
                    used = memory_bytes(started.process) - before
                context.record.add(key, contender.name, used / came[kind] / KIB)


def take_tunnels(context: Context, contender: Contender) -> None:
    """Hold as many tunnels as a large hub has, or as a contender can; measure their memory."""
    wanted = contender.tunnels(context.scale.tunnels)
    needs_more = 2 * wanted + 400 > OPEN_FILES
    workers = LARGE_WORKERS if contender.shares and needs_more else 1
    keys = ("memory-tunnels", "memory-all")
    with (
        contender.start(context.site, Setup(workers=workers)) as started,
        crowd(started.port, {"tunnel": FIRST}) as first,
    ):
        before = memory_bytes(started.process)
        with crowd(started.port, {"tunnel": wanted - FIRST}) as came:
            after = memory_bytes(started.process)
    count = came["tunnel"] + first["tunnel"]
    if count < context.scale.tunnels:
        context.record.note(keys[0], contender.name, f"{count:,} open")
    if workers > 1:
        context.record.note(keys[0], contender.name, f"with {workers} workers")
    context.record.add(keys[0], contender.name, (after - before) / came["tunnel"] / KIB)
    context.record.add(keys[1], contender.name, after / MIB)


def take_latency_beside(context: Context, contender: Contender) -> None:
    """Measure one client's latency alone, then beside idle tunnels and slow heads."""
    kinds = {"tunnel": context.scale.crowd_tunnels, "head": context.scale.crowd_heads}
    kinds["tunnel"] = min(kinds["tunnel"], contender.tunnels(kinds["tunnel"] + kinds["head"]))
    with contender.start(context.site, Setup()) as started:
        wait_and_warm_up(context, started)
        latencies(started.port, context.scale.requests)
        _take_p99s(context, "p99-alone", contender.name, started)
        with crowd(started.port, kinds) as came:
            _say_who_came(context, contender.name, came, kinds)
            _take_p99s(context, "p99-crowd", contender.name, started)


def _take_p99s(context: Context, key: str, name: str, started: Running) -> None:
    for _ in range(context.scale.repeats):
        take_p99(context, key, name, started)
        time.sleep(0.2)


def _say_who_came(
    context: Context, name: str, came: Mapping[str, int], wanted: Mapping[str, int]
) -> None:
    for kind, count in wanted.items():
        if came[kind] < count:
            context.record.note("p99-crowd", name, f"{came[kind]:,} of {count:,} ({kind})")


def take_first_byte(context: Context, contender: Contender) -> None:
    """Measure one client's latency while many others read long responses slowly."""
    with contender.start(context.site, Setup()) as started:
        wait_and_warm_up(context, started)
        with crowd(started.port, {"reader": context.scale.readers}):
            for _ in range(context.scale.repeats):
                times = latencies(started.port, context.scale.requests // 10)
                context.record.add("first-byte", contender.name, statistics.median(times) * 1000)


IN_LATENCY = (HUBGATE, "CHP", "nginx")
