"""`python -m benchmarks.strangers`: how hubgate and other proxies hold against strangers."""

import argparse
import os
import signal
import sys
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from benchmarks.contenders import contenders
from benchmarks.machine import machine, versions
from benchmarks.processes import LOAD_CORE
from benchmarks.record import say
from benchmarks.strangers import once, silence
from benchmarks.strangers.counting import Counting
from benchmarks.strangers.ground import prepared
from benchmarks.strangers.latency import suffering
from benchmarks.strangers.members import BY_KEY, MEMBERS, UNREAD
from benchmarks.strangers.page import missed
from benchmarks.strangers.proxies import Ground, beginnings
from benchmarks.strangers.results import PATH, Results, did, shown
from benchmarks.strangers.unread import memory_of

COUNTS = (8, 64)
USUAL = ("hubgate", "CHP", "nginx", "HAProxy")
ONCE, SILENCE = "once", "silence"


@dataclass(frozen=True)
class Run:
    """What is asked for, of which contenders, and where the figures go."""

    asked: argparse.Namespace
    names: list[str]
    results: Results

    def wanted(self, key: str) -> bool:
        """Return whether the command line asks for this row."""
        return any(fnmatch(key, pattern) for pattern in self.asked.only)


def main() -> int:
    """Measure, and write the JSON file after every figure."""
    asked = _options()
    present = [each for each in contenders() if each.present and each.name in asked.contenders]
    results = Results(
        {"machine": machine(), "versions": versions(present), "seconds": asked.seconds,
         "unread_seconds": asked.unread_seconds}
    )  # fmt: skip
    if asked.more:
        results.go_on()
    # Everything started here inherits this; the proxies get the other core.
    os.sched_setaffinity(0, {int(LOAD_CORE)})
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    run = Run(asked, [each.name for each in present], results)
    counting = Counting()
    try:
        with tempfile.TemporaryDirectory() as folder, prepared(Path(folder), counting) as ground:
            _take(run, ground, counting)
    except KeyboardInterrupt:
        say("stopped; the figures so far are kept")
        return 130
    print(f"{results.minutes:.1f} minutes, written to {PATH}")
    goals = missed(results.found)
    for line in goals:
        print(f"missed: {line}")
    return 1 if goals and asked.check else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.strangers", description=__doc__)
    parser.add_argument(
        "--only",
        nargs="+",
        default=["*"],
        metavar="PATTERN",
        help="only these rows: " + ", ".join((*BY_KEY, ONCE, SILENCE)),
    )
    parser.add_argument(
        "--contenders",
        nargs="+",
        choices=list(beginnings()),
        default=list(USUAL),
        help="default: " + " ".join(USUAL),
        metavar="NAME",
    )
    parser.add_argument("--attackers", nargs="+", type=int, default=list(COUNTS), metavar="N")
    parser.add_argument("--seconds", type=float, default=1.5, help="per latency (default: 1.5)")
    parser.add_argument("--unread-seconds", type=float, default=3, help="per memory (default: 3)")
    parser.add_argument("--check", action="store_true", help="fail if hubgate misses a goal")
    parser.add_argument("--more", action="store_true", help="keep the last run's other figures")
    return parser.parse_args()  # fmt: skip


def _take(run: Run, ground: Ground, counting: Counting) -> None:
    # Silent connections cost their proxies nothing, so all others can be measured meanwhile.
    with ThreadPoolExecutor(1) as pool:
        silent = (
            pool.submit(silence.closed_after, run.names, ground) if run.wanted(SILENCE) else None
        )
        try:
            _take_latency(run, ground)
            _take_memory(run, ground)
            _take_once(run, ground, counting)
            if silent is not None:
                _take_silence(run, silent)
        finally:
            silence.stop.set()


def _take_once(run: Run, ground: Ground, counting: Counting) -> None:
    for name in run.names if run.wanted(ONCE) else ():
        with run.results.attempt(ONCE, ONCE, name):
            found = once.times_sent(name, ground, counting)
            say(f"  {name:8} sent: {found}")
            for kind, times in found.items():
                run.results.add(ONCE, kind, name, times)


def _take_silence(run: Run, silent: Future[dict[str, dict[str, float | None]]]) -> None:
    say("waiting for silent connections")
    with run.results.attempt(SILENCE, SILENCE, "all"):
        for row, seconds in silent.result().items():
            say(f"  {row}: {seconds}")
            for name, value in seconds.items():
                run.results.add(SILENCE, row, name, value)


def _take_latency(run: Run, ground: Ground) -> None:
    counts, seconds = tuple(run.asked.attackers), run.asked.seconds
    for member in (each for each in MEMBERS if run.wanted(each.key)):
        say(member.name)
        for name in run.names:
            with run.results.attempt("latency", member.key, name):
                found = suffering(name, member, counts, ground, seconds)
                for count, figures in found.items():
                    say(f"  {name:8} {count:>3} attackers: {shown(figures)}")
                run.results.add("latency", member.key, name, found)


def _take_memory(run: Run, ground: Ground) -> None:
    for member in (each for each in UNREAD if run.wanted(each.key)):
        say(f"never reading: {member.name}")
        for name in run.names:
            with run.results.attempt("memory", member.key, name):
                if found := memory_of(name, member, ground, run.asked.unread_seconds):
                    say(f"  {name:8} {found['kib']:.1f} KiB per client; {did(found['attack'])}")
                    run.results.add("memory", member.key, name, found)


if __name__ == "__main__":
    sys.exit(main())
