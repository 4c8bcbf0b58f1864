"""One cell of the grid: a command of ours, and what it meets; how it must end."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.environment import clean_environment

PYTHON = sys.executable
ROOT = Path(__file__).resolve().parents[2]
BIN = Path(PYTHON).parent
PROXYCTL = (str(BIN / "proxyctl"),)
DROP_IN = (str(BIN / "configurable-http-proxy"),)
MODULE = (PYTHON, "-P", "-m", "hubgate")
DEMO = (PYTHON, str(ROOT / "dev" / "run.py"))
WORKER = (PYTHON, "-P", "-m", "hubgate.worker")

LIMIT = 60.0  # seconds
NO_READER = 141

# Root may read and enter everything; without its capabilities it may what any user may.
AS_A_USER = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()


@dataclass(frozen=True)
class Cell:
    """A command, and a shell's words around it: `before` (ulimit, cd) and `after` (redirections).

    `code` is its exit code, `output` a pattern of what it says; `lines` how many lines it may say
    on stderr, at least and at most.
    """

    name: str
    command: Sequence[str]
    code: int | tuple[int, ...] = 0
    lines: tuple[int, int] = (0, 0)
    before: str = ""
    after: str = ""
    env: dict[str, str | None] = field(default_factory=dict)
    output: str | None = None
    no_reader: str = ""
    as_user: bool = False


@dataclass(frozen=True)
class Ended:
    """How a cell's command ended."""

    code: int
    out: str
    err: str


def run(cell: Cell, folder: Path, env: dict[str, str]) -> Ended:
    """Run a cell's command in `folder`."""
    ours = {n: value for n, value in clean_environment(env).items() if not n.startswith("PYTHON")}
    variables = {**ours, **cell.env}
    user = AS_A_USER if cell.as_user else ()
    script = f'{cell.before}\nexec "$0" "$@" {cell.after}'
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    pipe: tuple[int, ...] = ()
    if cell.no_reader:
        pipe = os.pipe()
        os.close(pipe[0])
        streams[cell.no_reader] = pipe[1]
    process = subprocess.Popen(
        ["/bin/sh", "-c", script, *user, *cell.command],
        cwd=folder,
        env={name: value for name, value in variables.items() if value is not None},
        stdin=subprocess.DEVNULL,
        **streams,
    )
    for fd in pipe[1:]:
        os.close(fd)
    try:
        out, err = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        err = (err or b"") + b"\nTraceback: of the test, it did not end\n"
    said = ((text or b"").decode("utf-8", "replace") for text in (out, err))
    return Ended(process.returncode, *said)


class Grid:
    """Runs all cells, a few at a time; each one's end is there when it is asked for."""

    def __init__(
        self, cells: Sequence[Cell], place: Callable[[Cell], Path], env: dict[str, str]
    ) -> None:
        names = [cell.name for cell in cells]
        assert len(set(names)) == len(names), sorted(names)
        self._pool = ThreadPoolExecutor(3)
        self._futures = {
            cell.name: self._pool.submit(run, cell, place(cell), env) for cell in cells
        }

    def end(self, cell: Cell) -> Ended:
        """Wait until the cell's command has ended."""
        return self._futures[cell.name].result()

    def close(self) -> None:
        """Start no more."""
        self._pool.shutdown(cancel_futures=True)


def check(cell: Cell, ended: Ended) -> None:
    """Assert that it ended as it must: never with a traceback, with a line that says why."""
    said = f"{cell.name}: exit {ended.code}\n{ended.out}\n{ended.err}"
    for text in (ended.out, ended.err):
        assert "Traceback" not in text, said
        assert "Exception ignored" not in text, said
    codes = cell.code if isinstance(cell.code, tuple) else (cell.code,)
    assert ended.code in codes, said
    lines = [line for line in ended.err.splitlines() if line]
    fewest, most = cell.lines
    assert fewest <= len(lines) <= most, said
    if fewest:
        assert ": " in lines[0], said
        assert "Error" not in ended.err, said  # a name of Python's
    if cell.output is not None:
        assert re.search(cell.output, ended.out + ended.err), said
