"""`python -m benchmarks`: hubgate and other proxies, every row, in several interleaved rounds."""

import argparse
import contextlib
import dataclasses
import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from benchmarks import changes, crowded, options, tables
from benchmarks.catalogue import BEFORE, HUBGATE, ROWS, TRAFFIC
from benchmarks.contenders import Contender, Site, contenders
from benchmarks.machine import machine, versions
from benchmarks.processes import LOAD_CORE, free_port, running
from benchmarks.record import PATH, Record, say
from benchmarks.report import show
from benchmarks.scale import FULL, QUICK, Scale
from benchmarks.traffic import Context, take_round
from hubgate.certificates.authority import make_authority, make_server


@dataclass(frozen=True)
class Scene:
    """Rows measured together by `take(context, contender)`, for the contenders in `who` or all.

    With `take_all(context, contenders)` the contenders run at the same time instead.
    """

    keys: tuple[str, ...]
    take: Callable[[Context, Contender], None] | None = None
    who: tuple[str, ...] = ()
    take_all: Callable[[Context, Sequence[Contender]], None] | None = None


_OURS = (HUBGATE, BEFORE)
_API = (*_OURS, "CHP")
_CHANGES = tuple(
    key for key in ROWS if key.removeprefix("cpu-").startswith(("add-", "remove-", "put-500"))
)
SCENES = (
    Scene(("plain", "metrics", "access-log"), options.take_plain_and_options, _OURS),
    Scene(("workers-1", "workers-2", "workers-4", "memory-worker"), options.take_workers,
          _OURS),
    Scene(("memory-base",), options.take_memory_at_start),
    Scene(("memory-connection", "memory-tunnel"), crowded.take_memory_of_idle),
    Scene(("memory-tunnels", "memory-all"), crowded.take_tunnels),
    Scene(("p99-alone", "p99-crowd"), crowded.take_latency_beside, crowded.IN_LATENCY),
    Scene(("first-byte",), crowded.take_first_byte),
    Scene(_CHANGES, None, _API, changes.take_changes),
    Scene(("replaced",), tables.take_replacement, (HUBGATE,)),
    Scene(tables.LARGE_KEYS, tables.take_large_table, _API),
)  # fmt: skip


def main() -> int:
    """Measure, write the JSON file after every figure, print the table."""
    asked = _options()
    chosen = [each for each in contenders() if each.present and each.name in asked.contenders]
    keys = [key for key in ROWS if any(fnmatch(key, pattern) for pattern in asked.only)]
    scale = _scale(asked)
    record = Record(
        {"machine": machine(), "versions": versions(chosen), "scale": dataclasses.asdict(scale)}
    )
    if asked.more and PATH.exists():
        record.go_on_from(json.loads(PATH.read_text()))
        record.forget(_taken_with(keys))
    # Everything started here inherits this; the contenders get the other core.
    os.sched_setaffinity(0, {int(LOAD_CORE)})
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    stopped = False
    try:
        _measure(record, scale, chosen, keys)
    except KeyboardInterrupt:
        stopped = True
        say("stopped; the figures so far are kept")
    record.write()
    show(record.result)
    print(f"{record.result['minutes']:g} minutes, written to {PATH}")
    return 130 if stopped else 0


def _options() -> argparse.Namespace:
    names = [each.name for each in contenders()]
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a quick look, in three minutes")
    parser.add_argument("--rounds", type=int, help=f"figures per row (default: {FULL.rounds})")
    parser.add_argument(
        "--seconds", type=float, help=f"seconds per figure (default: {FULL.seconds:g})"
    )
    parser.add_argument(
        "--only",
        nargs="+",
        default=["*"],
        metavar="PATTERN",
        help="only these rows and those measured with them; from " + ", ".join(ROWS),
    )
    parser.add_argument("--contenders", nargs="+", choices=names, default=names)
    parser.add_argument("--more", action="store_true", help="keep the last run's other rows")
    return parser.parse_args()  # fmt: skip


def _taken_with(keys: Sequence[str]) -> list[str]:
    """Return these rows and all others that are measured together with any of them."""
    others = [key for scene in SCENES if set(scene.keys) & set(keys) for key in scene.keys]
    return [*keys, *others]


def _scale(asked: argparse.Namespace) -> Scale:
    scale = QUICK if asked.quick else FULL
    if asked.rounds is not None:
        scale = dataclasses.replace(scale, rounds=asked.rounds, repeats=asked.rounds)
    if asked.seconds is not None:
        scale = dataclasses.replace(scale, seconds=asked.seconds)
    return scale


def _measure(
    record: Record, scale: Scale, chosen: Sequence[Contender], keys: Sequence[str]
) -> None:
    with tempfile.TemporaryDirectory() as name, _site(Path(name)) as site:
        context = Context(site, scale, record)
        if any(row.key in keys for row in TRAFFIC):
            for number in range(scale.rounds):
                say(f"round {number + 1} of {scale.rounds}")
                for contender in chosen:
                    take_round(context, contender, keys)
        for scene in SCENES:
            if any(key in keys for key in scene.keys):
                _play(context, scene, chosen)


def _play(context: Context, scene: Scene, chosen: Sequence[Contender]) -> None:
    say(", ".join(scene.keys))
    wanted = [each for each in chosen if not scene.who or each.name in scene.who]
    if scene.take_all is not None:
        with context.record.attempt(scene.keys, HUBGATE):
            scene.take_all(context, wanted)
    for contender in wanted if scene.take is not None else ():
        with context.record.attempt(scene.keys, contender.name):
            scene.take(context, contender)


@contextlib.contextmanager
def _site(folder: Path) -> Iterator[Site]:
    pair = make_server(make_authority(), ("127.0.0.1", "localhost"), days=30)
    cert, key = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(pair.certificate_pem())
    key.write_bytes(pair.key_pem())
    key.chmod(0o600)
    port = free_port()
    command = [sys.executable, str(Path(__file__).with_name("backend.py")), str(port)]
    with socket.socket() as down, running(command, folder, [port], core=LOAD_CORE):
        down.bind(("127.0.0.1", 0))  # bound but not listening, so that no other program can listen
        yield Site(port, down.getsockname()[1], folder, cert, key)


if __name__ == "__main__":
    sys.exit(main())
