"""`python -m tests.soak SECONDS [--without attackers]`: mixed traffic, then nothing may have grown.

Two hubgates are soaked, one of them over TLS, each with two workers. Attackers come and go; a
bystander's requests may not take longer while they are there.
"""

import argparse
import asyncio
import contextlib
import ssl
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import uvloop

from hubgate.tasks import spawn
from tests.certificates.made import Files, make_files
from tests.contract.ports import free_ports
from tests.soak.actors import ACTORS
from tests.soak.attackers import ATTACKERS
from tests.soak.bystander import ROUTE, Bystander, p99, split, standing_by
from tests.soak.directing import PATIENCE, act, assail, shake, turn_tides
from tests.soak.growth import SETTLED, Look, Use, grown, is_back, use
from tests.soak.stage import PUBLIC, Stage
from tests.soak.targets import Target
from tests.system.served import Served, serving

# How often it is looked what is used, and how often that is told, in seconds.
_LOOK, _TELL = 2.0, 60.0
# How much longer the bystander's p99 may be while attackers are there, in seconds.
_DELAY = 0.2


@dataclass(frozen=True)
class Soaked:
    """A proxy, what it is reached by, and who stands by."""

    served: Served
    ports: dict[str, int]
    tls: ssl.SSLContext | None
    bystander: Bystander


@contextlib.contextmanager
def soaking(folder: Path, files: Files | None) -> Iterator[Soaked]:
    """Run a proxy, over TLS if there are `files`, and its bystander."""
    folder.mkdir()
    metrics, redirect = free_ports()
    flags = ["--workers", "2", "--metrics-port", str(metrics)]
    tls = None
    ports = {"metrics": metrics}
    if files is not None:
        flags += ["--host", "127.0.0.1", "--tls-cert", files.cert, "--tls-key", files.key]
        flags += ["--redirect-port", str(redirect)]
        ports["redirect"] = redirect
        tls = ssl.create_default_context(cafile=files.ca)
    with serving(folder, *flags) as served:
        ports |= {PUBLIC: served.port, "API": served.api_port}
        with standing_by(served.port, files.ca if files else None) as bystander:
            yield Soaked(served, ports, tls, bystander)


async def set_up(soaked: Soaked) -> Stage:
    """Start targets and add their routes."""
    targets = [Target() for _ in range(7)]
    stage = Stage(soaked.ports, soaked.tls, targets[:4], targets[4:], served=soaked.served)
    for kind, some in (("steady", stage.steady), ("shaky", stage.shaky)):
        for number, target in enumerate(some):
            await target.start()
            await add(stage, f"/{kind}/{number}", target.port)
    await add(stage, ROUTE, soaked.bystander.port)
    return stage


async def add(stage: Stage, path: str, port: int) -> None:
    """Add a route to a port of this machine."""
    data: dict[str, object] = {"target": f"http://127.0.0.1:{port}"}
    assert await stage.call("POST", f"/api/routes{path}", data) == 201


async def watch(served: Served, stage: Stage, seconds: float) -> list[Look]:
    """Look again and again at what is used, for as long as it goes on; tell it now and then."""
    looks: list[Look] = []
    begun = time.monotonic()
    while (after := time.monotonic() - begun) < seconds:
        looks.append(Look(after, use(served)))
        if int(after // _TELL) != int((after - _LOOK) // _TELL) or after > seconds - _LOOK:
            done = ", ".join(f"{count} {what}" for what, count in stage.done.items())
            print(f"{stage} after {after:.0f} s: {looks[-1].use}; {done}", flush=True)
        await asyncio.sleep(_LOOK)
    return looks


async def run(soaked: Soaked, stage: Stage, seconds: float, attackers: bool) -> list[str]:
    """Have all at it for a while; return what has grown, and who waited."""
    until = time.monotonic() + seconds
    changes: list[float] = []
    soaked.bystander.begin()
    tasks = [spawn(act(actor, stage, until), actor.__name__) for actor, n in ACTORS.items()
             for _ in range(n)]  # fmt: skip
    tasks.append(spawn(shake(stage, until), "shake"))
    if attackers:
        tasks += [spawn(assail(attacker, stage, until), attacker.__name__)
                  for attacker, n in ATTACKERS.items() for _ in range(n)]  # fmt: skip
        tasks.append(spawn(turn_tides(stage, until, changes), "turn tides"))
    looks = await watch(soaked.served, stage, seconds)
    await leave(stage, tasks, until)
    taken = await asyncio.to_thread(soaked.bystander.end)
    return [*grown(looks, seconds), *waited(stage, *split(taken, changes))]


async def leave(stage: Stage, tasks: Sequence[asyncio.Task[None]], until: float) -> None:
    """Wait until all have left."""
    # Whoever holds a tunnel to a shaky target is told by its death that it is over.
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0.5)
        if time.monotonic() > until:
            await asyncio.gather(*(target.stop() for target in stage.shaky))
    await asyncio.gather(*tasks)
    await asyncio.gather(*(target.stop() for target in stage.steady))


def waited(stage: Stage, calm: Sequence[float], harassed: Sequence[float]) -> list[str]:
    """Return whether the bystander had to wait longer while there were attackers."""
    usual, then = p99(calm), p99(harassed)
    for times, when in ((calm, "in calm times"), (harassed, "with attackers")):
        if times:
            took = f"99 % took up to {p99(times) * 1000:.0f} ms, the slowest {max(times):.1f} s"
            print(f"{stage}: of {len(times)} requests of a bystander {when} {took}", flush=True)
    longer = bool(harassed) and then > usual + _DELAY
    return [f"a bystander's p99: {usual:.3f} s, {then:.3f} s with attackers"] if longer else []


async def emptied(served: Served, before: Use) -> Use:
    """Wait until as little is used as before anybody came; return what is."""
    end = time.monotonic() + PATIENCE
    while True:
        now = use(served)
        if is_back(before, now) or time.monotonic() > end:
            return now
        await asyncio.sleep(1)


async def soak(soaked: Soaked, seconds: float, attackers: bool) -> list[str]:
    """Run everything at one hubgate; return what is wrong."""
    stage, served = await set_up(soaked), soaked.served
    before, workers = use(served), {worker.pid for worker in served.workers}
    wrong = await run(soaked, stage, seconds, attackers)
    left = await emptied(served, before)
    print(f"{stage} before: {before}, when all had left: {left}", flush=True)
    if not is_back(before, left):
        wrong.append(f"{before} were used before, {left} when all had left")
    if lost := workers - {worker.pid for worker in served.workers}:
        wrong.append(f"{len(lost)} workers were lost")
    return [f"{stage}: {what}" for what in (*stage.faults, *wrong)]


async def soak_all(soaked: Sequence[Soaked], seconds: float, attackers: bool) -> list[str]:
    """Soak all of them at the same time."""
    wrong = await asyncio.gather(*(soak(each, seconds, attackers) for each in soaked))
    return [line for lines in wrong for line in lines]


def faults(log: list[str]) -> list[str]:
    """Return what a log tells of our own faults, each with what stands around it."""
    return [
        "\n  ".join(log[max(0, number - 3) : number + 20])
        for number, line in enumerate(log)
        if "Traceback" in line or "fault in" in line
    ]


def main() -> int:
    """Soak two hubgates with two workers each."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("seconds", type=float, nargs="?", default=2 * SETTLED)
    parser.add_argument("--without", choices=["attackers"], help="leave them out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as running:
        files = make_files(Path(name))
        folders = {Path(name, "plain"): None, Path(name, "tls"): files}
        soaked = [running.enter_context(soaking(*each)) for each in folders.items()]
        wrong = uvloop.run(soak_all(soaked, options.seconds, options.without != "attackers"))
        logs = [(folder / "serve.log").read_text() for folder in folders]
    wrong += faults("".join(logs).splitlines())
    for line in wrong:
        print(f"wrong: {line}")
    print("nothing grew, nothing failed unprovoked" if not wrong else f"{len(wrong)} faults")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
