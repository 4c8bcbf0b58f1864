"""`python -m benchmarks.strangers.slowhttptest`: that program's four modes against each proxy.

It holds a thousand slow connections open and asks now and then whether the service is available.
The proxies are attacked side by side: such connections cost next to no CPU time.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.contenders import contenders
from benchmarks.processes import LOAD_CORE, pinned
from benchmarks.record import say
from benchmarks.strangers.counting import Counting
from benchmarks.strangers.ground import prepared
from benchmarks.strangers.places import HONEST, Port
from benchmarks.strangers.proxies import Ground, Wish, attacked
from benchmarks.strangers.results import Results

PART = "slowhttptest"
CONNECTIONS = 1000
# Every two seconds a part, which outlives any limit on the time between two.
_ALL = ["-c", str(CONNECTIONS), "-r", "500", "-p", "3", "-i", "2"]
# A terminal's colours.
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_STATE = re.compile(r"^(connected|closed|pending|error|service available):\s*(\S+)", re.MULTILINE)
_stopped = threading.Event()
_SECOND = re.compile(r"status on (\d+)th second")


@dataclass(frozen=True)
class Mode:
    """One mode: its flags, and what it asks for."""

    name: str
    flags: tuple[str, ...]
    path: str


# The program's own probe asks for the same page: it must be one that is answered.
MODES = {
    "-H": Mode("slow heads", ("-H",), f"{HONEST}/small"),
    "-B": Mode("slow bodies", ("-B", "-s", "8192"), f"{HONEST}/small"),
    "-R": Mode("Range with many parts", ("-R",), f"{HONEST}/page"),
    "-X": Mode("slow reading", ("-X", "-w", "512", "-y", "1024", "-n", "2", "-z", "32", "-k", "8"),
               f"{HONEST}/page"),
}  # fmt: skip


def main() -> int:
    """Run all modes and print what they say; the figures go where the other ones are."""
    asked = _options()
    names = [each.name for each in contenders() if each.present and each.name in asked.contenders]
    results = Results({})
    counting = Counting()
    with (
        tempfile.TemporaryDirectory() as folder,
        prepared(Path(folder), counting) as ground,
        ThreadPoolExecutor(len(names)) as pool,
    ):
        found = pool.map(partial(_modes, ground=ground, seconds=asked.seconds), names)
        try:
            for name, own in zip(names, found, strict=True):
                results.go_on()
                for flag, said in own.items():
                    say(f"{name:8} {MODES[flag].name}: {in_words(said)}")
                    results.add(PART, flag, name, said)
        except KeyboardInterrupt:
            _stopped.set()
            say("stopped; what runs ends within a mode")
            return 130
    return 0


def _options() -> argparse.Namespace:
    names = ["hubgate", "CHP", "nginx", "HAProxy"]
    parser = argparse.ArgumentParser(prog="benchmarks.strangers.slowhttptest", description=__doc__)
    parser.add_argument("--contenders", nargs="+", choices=names, default=names)
    parser.add_argument("--seconds", type=int, default=40, help="per mode (default: 40)")
    return parser.parse_args()


def _modes(name: str, ground: Ground, seconds: int) -> dict[str, Any]:
    found = {}
    for flag, mode in MODES.items():
        if _stopped.is_set():
            break
        # A fresh one for each, so that none inherits the connections of the one before.
        with attacked(name, ground, Wish()) as started:
            url = f"http://127.0.0.1:{started.ports[Port.PUBLIC]}{mode.path}"
            found[flag] = summary(_output([*mode.flags, *_ALL, "-l", str(seconds), "-u", url]))
    return found


def _output(flags: Sequence[str]) -> str:
    done = subprocess.run(
        pinned(LOAD_CORE, ["slowhttptest", *flags]),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def summary(output: str) -> dict[str, Any]:
    """Return what a run says: when it ended and why, the last counts, when there was no service.

    Raises RuntimeError if it says nothing of the kind.
    """
    text = _COLOURS.sub("", output)
    ended = re.search(r"Test ended on (\d+)\w* second\s+Exit status:\s*(.+)", text)
    if ended is None:
        raise RuntimeError(f"slowhttptest: {' '.join(text.split())[-200:]}")
    away: list[int] = []
    last: dict[str, str] = {}
    for part in text.split("slow HTTP test ")[1:]:
        last = dict(_STATE.findall(part))
        second = _SECOND.search(part)
        if last.get("service available") == "NO" and second:
            away.append(int(second[1]))
    counts = {key: int(last[key]) for key in ("connected", "closed", "pending", "error")}
    return {"seconds": int(ended[1]), "exit": ended[2].strip(), "away": away, **counts}


def in_words(said: dict[str, Any]) -> str:
    """Return a run's summary in a few words."""
    away = said["away"]
    service = f"not available from second {away[0]}" if away else "available throughout"
    return f"{service}; {said['connected']:,} still open after {said['seconds']} s"


if __name__ == "__main__":
    sys.exit(main())
