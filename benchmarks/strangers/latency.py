"""One way to attack, one proxy: how long does a bystander wait, and what does it cost?"""

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from benchmarks.api import TOKEN
from benchmarks.load import Script, percentile
from benchmarks.processes import LOAD_CORE, family, pinned
from benchmarks.strangers.members import Member
from benchmarks.strangers.places import HONEST, Port
from benchmarks.strangers.priority import ATTACKER, BYSTANDER, favour
from benchmarks.strangers.proxies import Attacked, Ground, Wish, attacked

ROOT = Path(__file__).resolve().parents[2]
# Attackers begin before the bystander is measured, and end after it.
LEAD, TRAIL = 0.3, 0.1
_LOOK = 0.2


@contextlib.contextmanager
def script(name: str, *arguments: object, nice: int) -> Iterator[Script]:
    """Run a module of this package on the load's core until the block ends."""
    command = [sys.executable, "-m", f"benchmarks.strangers.{name}", *map(str, arguments)]
    with subprocess.Popen(
        pinned(LOAD_CORE, command),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        favour(psutil.Process(process.pid), nice)
        try:
            yield Script(process)
        finally:
            process.kill()


def suffering(
    name: str, member: Member, counts: tuple[int, ...], ground: Ground, seconds: float
) -> dict[str, dict[str, Any]]:
    """Return the figures by number of attackers; fewer if there is no such port."""
    found: dict[str, dict[str, Any]] = {}
    longest = LEAD + seconds + TRAIL
    with contextlib.ExitStack() as stack:
        # They load while the proxy does.
        crowds = {
            count: stack.enter_context(
                script("attackers", member.key, count, longest, nice=ATTACKER)
            )
            for count in ((1,) if member.one else counts)
        }
        started = stack.enter_context(attacked(name, ground, Wish(tls=member.tls)))
        if member.port not in started.ports:
            return {}
        bystander = stack.enter_context(_bystander(started, member))
        for count, crowd in crowds.items():
            crowd.hear()
            if found:
                bystander.tell("settle")
                bystander.hear()
            found[str(count)] = beside(started, member, crowd, bystander, seconds)
    return found


@contextlib.contextmanager
def _bystander(started: Attacked, member: Member) -> Iterator[Script]:
    # Who reads the metrics must not delay the hub.
    place = Port.API if member.port is Port.METRICS else member.port
    scheme = "https" if member.tls and place is Port.PUBLIC else "http"
    where = ("/api/routes", TOKEN) if place is Port.API else (f"{HONEST}/small",)
    with script("bystander", started.ports[place], scheme, *where, nice=BYSTANDER) as bystander:
        bystander.hear()
        yield bystander


def beside(
    started: Attacked, member: Member, crowd: Script, bystander: Script, seconds: float
) -> dict[str, Any]:
    """Return a bystander's figures beside a crowd of attackers, and what they cost the proxy."""
    before = set(family(started.process))
    with Growth(started.process) as growth:
        crowd.tell(str(started.ports[member.port]))
        time.sleep(LEAD)
        bystander.tell(str(seconds))
        seen = json.loads(bystander.hear())
        did = json.loads(crowd.hear())
    lost = len(before - set(family(started.process)))
    return {**summary(seen), "lost": lost, "mib": growth.bytes / (1 << 20), "attack": did}


def summary(seen: dict[str, Any]) -> dict[str, Any]:
    """Return milliseconds: median, 99th percentile and longest; how many failed, and how.

    What was still unanswered counts with the time it had waited: the true figure is larger.
    """
    times = [1000 * each for each in (*seen["times"], *seen["waiting"])]
    failed = sum(seen["failed"].values())
    if not times:
        return {"failed": failed, "how": seen["failed"], "unanswered": 0, "requests": failed}
    return {
        "p50": percentile(times, 0.5),
        "p99": percentile(times, 0.99),
        "max": max(times),
        "failed": failed,
        "how": seen["failed"],
        "unanswered": len(seen["waiting"]),
        "requests": len(times) + failed,
    }


class Growth:
    """The most by which a proxy's resident memory grew inside the block, in bytes."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._first = resident(process)
        self.bytes = 0

    def __enter__(self) -> "Growth":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_LOOK):
            self.bytes = max(self.bytes, resident(self._process) - self._first)


def resident(process: psutil.Process) -> int:
    """Return the resident memory of a process and its descendants; cheap to read, unlike PSS."""
    total = 0
    for each in family(process):
        with contextlib.suppress(psutil.Error):
            total += each.memory_info().rss
    return total
