"""`python -m benchmarks.strangers`: how hubgate and other proxies hold against strangers."""

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from benchmarks.contenders import contenders
from benchmarks.machine import machine, versions
from benchmarks.processes import LOAD_CORE
from benchmarks.record import say
from benchmarks.strangers.ground import prepared
from benchmarks.strangers.latency import suffering
from benchmarks.strangers.members import MEMBERS
from benchmarks.strangers.proxies import Ground, beginnings
from benchmarks.strangers.results import Results, shown

COUNTS = (8, 64)
USUAL = ("hubgate", "CHP", "nginx", "HAProxy")


def main() -> int:
    """Measure, write the JSON file after every figure."""
    asked = _options()
    present = [each for each in contenders() if each.present and each.name in asked.contenders]
    results = Results(
        {"machine": machine(), "versions": versions(present), "seconds": asked.seconds}
    )
    # Everything started here inherits this; the proxies get the other core.
    os.sched_setaffinity(0, {int(LOAD_CORE)})
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    names = [each.name for each in present]
    with tempfile.TemporaryDirectory() as folder, prepared(Path(folder)) as ground:
        _take_latency(results, ground, asked, names)
    results.write()
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.strangers", description=__doc__)
    parser.add_argument(
        "--only",
        nargs="+",
        default=["*"],
        metavar="PATTERN",
        help="only these: " + ", ".join(each.key for each in MEMBERS),
    )
    parser.add_argument(
        "--contenders", nargs="+", choices=list(beginnings()), default=list(USUAL), metavar="NAME"
    )
    parser.add_argument("--attackers", nargs="+", type=int, default=list(COUNTS), metavar="N")
    parser.add_argument("--seconds", type=float, default=3, help="of each figure (default: 3)")
    return parser.parse_args()


def _take_latency(
    results: Results, ground: Ground, asked: argparse.Namespace, names: Sequence[str]
) -> None:
    for member in MEMBERS:
        if not any(fnmatch(member.key, pattern) for pattern in asked.only):
            continue
        say(member.name)
        for name in names:
            with results.attempt("latency", member.key, name):
                found = suffering(name, member, tuple(asked.attackers), ground, asked.seconds)
                for count, figures in found.items():
                    say(f"  {name:8} {count:>3} attackers: {shown(figures)}")
                results.add("latency", member.key, name, found)


if __name__ == "__main__":
    sys.exit(main())
