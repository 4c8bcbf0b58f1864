"""Kinds of traffic: CPU time of the proxy's processes per unit of work."""

import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from benchmarks.contenders import Contender, Running, Setup, Site
from benchmarks.cpu import CoreWatch, Meter
from benchmarks.load import latencies, percentile, trips, tunnels
from benchmarks.processes import LOAD_CORE, pinned
from benchmarks.record import Record
from benchmarks.scale import Scale
from benchmarks.wrk import SCRIPTS, Load, put, warm_up

GIB = 1 << 30
# Interrupts that are charged to no process take a few hundredths of a core.
TOLERATED = 0.15
ATTEMPTS = 4


@dataclass(frozen=True)
class Context:
    """What every measurement needs: where, how much, and where the figures go."""

    site: Site
    scale: Scale
    record: Record


@dataclass(frozen=True)
class Kind:
    """One row of traffic: `take(context, key, contender's name, started)` records a figure."""

    key: str
    take: Callable[[Context, str, str, Running], None]
    tls: bool = False
    needs_api: bool = False


def take_wrk(context: Context, key: str, name: str, started: Running, load: Load) -> None:
    """Record CPU microseconds of the proxy per request."""
    warm_up(load, started.port, context.scale.warm_up)
    watch, meter = CoreWatch(), Meter(started.process)
    done = put(load, started.port, context.scale.seconds)
    (used, wall), busy, others = meter.read(), watch.busy, meter.others
    note_others(context, key, name, others)
    context.record.add_cores(
        key, name, {"proxy": used / wall, "load": busy, "per_second": done.answers / wall}
    )
    if done.broken:
        context.record.note(key, name, "wrk counted broken connections")
    context.record.add(key, name, used / done.answers * 1e6)


def note_others(context: Context, key: str, name: str, others: float) -> None:
    """Note it if other programs used the proxy's core for a share `others` that is too large."""
    if others > TOLERATED:
        context.record.note(key, name, "while other programs used its core")


def take_p99(context: Context, key: str, name: str, started: Running) -> None:
    """Record the 99th percentile of a client's small GETs in ms.

    Repeats a measurement during which others used the proxy's core, a few times: unlike CPU time,
    it would show their load.
    """
    for _ in range(ATTEMPTS):
        meter = Meter(started.process)
        times = latencies(started.port, context.scale.requests)
        if (others := meter.others) <= TOLERATED:
            break
        time.sleep(0.5)
    note_others(context, key, name, others)
    context.record.add(key, name, percentile(times, 0.99) * 1000)


def _wrk(load: Load) -> Callable[[Context, str, str, Running], None]:
    return lambda context, key, name, started: take_wrk(context, key, name, started, load)


def _download(context: Context, key: str, name: str, started: Running) -> None:
    size = int(context.scale.gib * GIB)
    _fetch(started, size // 16)
    meter = Meter(started.process)
    _fetch(started, size)
    context.record.add(key, name, meter.used / context.scale.gib)


def _fetch(started: Running, size: int) -> None:
    url = f"http://127.0.0.1:{started.port}/big?{size}"
    command = ["curl", "-s", "-m", "120", "-o", "/dev/null", "-w", "%{size_download}", url]
    done = subprocess.run(pinned(LOAD_CORE, command), capture_output=True, text=True, check=True)
    if int(done.stdout) != size:
        raise RuntimeError(f"{done.stdout} bytes arrived of {size}")


def _trips(size: int) -> Callable[[Context, str, str, Running], None]:
    def take(context: Context, key: str, name: str, started: Running) -> None:
        with tunnels(started.port, 32, size) as script:
            trips(script, context.scale.warm_up)
            meter = Meter(started.process)
            made = trips(script, context.scale.seconds)
            context.record.add(key, name, meter.used / made * 1e6)

    return take


SMALL = Load("/small")
_UNLIKE = Load("/unlike/", flags=("-s", str(SCRIPTS / "unlike.lua")))
_CONNECT = Load("/small", flags=("-H", "Connection: close"))
_UPLOAD = Load("/upload", flags=("-s", str(SCRIPTS / "upload.lua")))
# The first requests wait for the target to come up; after three seconds it is known to be down.
_DOWN = Load("/down/lab", refused=True, settles=3.0)
KINDS = (
    Kind("small", _wrk(SMALL)),
    Kind("unlike", _wrk(_UNLIKE)),
    Kind("many", _wrk(Load("/small", connections=512))),
    Kind("page", _wrk(Load("/page"))),
    Kind("connect", _wrk(_CONNECT)),
    Kind("upload", _wrk(_UPLOAD)),
    Kind("download", _download),
    Kind("ws-small", _trips(256)),
    Kind("ws-large", _trips(65536)),
    Kind("down", _wrk(_DOWN), needs_api=True),
    Kind("tls", _wrk(Load("/small", tls=True)), tls=True),
)


def wait_and_warm_up(context: Context, started: Running, tls: bool = False) -> None:
    """Wait for the first response, then put load on it for a while, so that all code is loaded."""
    url = f"{'https' if tls else 'http'}://127.0.0.1:{started.port}/small"
    command = ["curl", "-sfk", "--retry", "5", "--retry-connrefused", "-o", "/dev/null", url]
    subprocess.run(command, check=True, timeout=60)
    warm_up(Load("/small", tls=tls), started.port, context.scale.first_warm_up)


def take_round(context: Context, contender: Contender, keys: Iterable[str]) -> None:
    """Measure one figure of one contender for each of these traffic rows."""
    for tls in (False, True):
        kinds = [
            kind
            for kind in KINDS
            if kind.tls is tls and kind.key in keys and (contender.has_api or not kind.needs_api)
        ]
        if kinds:
            with (
                context.record.attempt([kind.key for kind in kinds], contender.name),
                contender.start(context.site, Setup(tls=tls)) as started,
            ):
                wait_and_warm_up(context, started, tls)
                for kind in kinds:
                    with context.record.attempt([kind.key], contender.name):
                        kind.take(context, kind.key, contender.name, started)
