"""`python -m benchmarks`: run every row with every contender, interleaved, several rounds."""

import argparse
import contextlib
import json
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.contenders import Contender, Running, Site, contenders
from benchmarks.hubs import HUB_ROWS, take_hub_row
from benchmarks.processes import LOAD_CORE, free_port, running
from benchmarks.report import Figures, show
from benchmarks.rows import ROWS, Row, warm_up
from proxy.cli.authority import make_authority, make_server

OUTPUT = Path("build/bench/results.json")


def main() -> int:
    """Measure, print the table, write the JSON."""
    options = _options()
    chosen = [each for each in contenders() if each.present and each.name in options.contenders]
    rows = [row for row in ROWS if options.only in row.name]
    figures: Figures = {}
    with tempfile.TemporaryDirectory() as name, _site(Path(name)) as site:
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
            for contender in chosen:
                _measure(contender, rows, site, options.seconds, figures)
        hub_rows = [] if options.no_hub else [row for row in HUB_ROWS if options.only in row.name]
        for hub_row in hub_rows:
            print(hub_row.name, file=sys.stderr, flush=True)
            figures[hub_row.name] = take_hub_row(hub_row, site, options.contenders)
    result = {
        "machine": _machine(),
        "versions": {each.name: _version(each) for each in chosen},
        "rounds": options.rounds,
        "seconds": options.seconds,
        "figures": figures,
    }
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps(result, indent=1))
    show(result)
    print(f"written to {OUTPUT}")
    return 0


def _options() -> argparse.Namespace:
    names = [each.name for each in contenders()]
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of load for one figure")
    parser.add_argument("--only", default="", help="rows whose name contains this")
    parser.add_argument("--contenders", nargs="+", choices=names, default=names)
    parser.add_argument("--no-hub", action="store_true", help="leave out the rows of route tables")
    return parser.parse_args()


@contextlib.contextmanager
def _site(folder: Path) -> Iterator[Site]:
    authority = make_authority()
    pair = make_server(authority, ("127.0.0.1", "localhost"), days=30)
    cert, key = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(pair.certificate_pem())
    key.write_bytes(pair.key_pem())
    key.chmod(0o600)
    port = free_port()
    command = [sys.executable, str(Path(__file__).with_name("backend.py")), str(port)]
    with running(command, folder, [port], core=LOAD_CORE):
        yield Site(port, folder, cert, key)


def _measure(
    contender: Contender, rows: list[Row], site: Site, seconds: float, figures: Figures
) -> None:
    for tls in (False, True):
        wanted = [row for row in rows if row.tls is tls]
        if wanted:
            with contender.start(site, tls) as started:
                # A port accepts before all is loaded: what starting costs is no request's cost.
                warm_up(started, tls)
                for row in wanted:
                    _take(row, contender, started, seconds, figures)


def _take(
    row: Row, contender: Contender, started: Running, seconds: float, figures: Figures
) -> None:
    taken = figures.setdefault(row.name, {}).setdefault(contender.name, [])
    value = row.take(started, seconds)
    taken.append(value)
    median = statistics.median(taken)
    print(f"  {contender.name:8} {row.name}: {value:.1f} {row.unit} (median {median:.1f})",
          file=sys.stderr, flush=True)  # fmt: skip


def _machine() -> dict[str, str]:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {"cpu": model, "kernel": platform.release(), "python": platform.python_version()}


def _version(contender: Contender) -> str:
    command = contender.version()
    if shutil.which(command[0]) is None:
        return "not installed"
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip().splitlines()[0]


if __name__ == "__main__":
    sys.exit(main())
