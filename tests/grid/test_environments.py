"""Every kind of command in environments, under limits and as users that nobody tried before."""

import os
import pty
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.environment import clean_environment
from tests.grid.api import agreeing_api
from tests.grid.cells import DROP_IN, LIMIT, PROXYCTL, Cell, Ended, Grid, check

pytestmark = pytest.mark.processes

LIST = (*PROXYCTL, "list")
ENVIRONMENTS: dict[str, dict[str, str | None]] = {
    "plain C": {"LANG": "C", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "ascii, strictly": {"PYTHONIOENCODING": "ascii:strict"},
    "warnings are errors": {"PYTHONWARNINGS": "error"},
    "one column": {"COLUMNS": "1", "LINES": "1"},
    "bad columns": {"COLUMNS": "many"},
    "no TERM": {"TERM": None},
    "no HOME": {"HOME": None, "XDG_STATE_HOME": None},
    "unbuffered": {"PYTHONUNBUFFERED": "1"},
    "no PATH": {"PATH": None},
    "no TMPDIR": {"TMPDIR": "/nonexistent"},
    "no PWD": {"PWD": None},
}
NO_ROOM = {"HOME": "/dev/null", "XDG_STATE_HOME": None}
# A user without an entry in passwd; what root's interpreter needs is loaded before.
NOBODY = """
import os, sys
from hubgate.cli import main, {module}
import hubgate.cli.summary, rich.console, rich.table
loaded = main.load()
os.setgid(54321)
os.setuid(54321)
{module}.main({args})
"""


def as_nobody(module: str, *args: str) -> tuple[str, ...]:
    return (sys.executable, "-P", "-c", NOBODY.format(module=module, args=list(args)))


def cells() -> Iterator[Cell]:
    for name, env in ENVIRONMENTS.items():
        yield Cell(f"list, {name}", LIST, env=env, output="/a\thttp")
        if name not in ("unbuffered", "no PATH", "no TERM", "no PWD"):
            yield Cell(f"help, {name}", (*PROXYCTL, "serve", "--help"), env=env)
        if name != "no HOME":
            yield Cell(f"check, {name}", (*PROXYCTL, "check"), env=env)
    yield Cell("drop-in, warnings are errors", (*DROP_IN, "-h"), env={"PYTHONWARNINGS": "error"})
    bad = {"PYTHONIOENCODING": "ascii"}
    route = (*PROXYCTL, "add", "/zoë\u2192", "http://127.0.0.1:9")
    yield Cell("add in ascii", route, env=bad, output=r"zo\\xeb")
    yield Cell("certs in ascii", (*PROXYCTL, "certs", "--dir", "zoë"), env=bad, output=r"zo\\xeb")
    undecodable = r'set -- "$@" "$(printf "\351")"'
    yield Cell("bytes", (*PROXYCTL, "certs", "--dir"), before=undecodable, output=r"\\udce9")
    line = (1, 1)
    serve = (*PROXYCTL, "serve", "--port", "0", "--api-port", "0")
    yield Cell("serve, HOME a file", serve, 1, line, env=NO_ROOM, output="token")
    yield Cell("serve, 16 files", serve, 1, (1, 2), "ulimit -n 16", output="open files: 16")
    drop_in = (*DROP_IN, "--ip", "127.0.0.1", "--port", "0", "--api-port", "0")
    yield Cell("drop-in, 16 files", drop_in, 1, (2, 2), "ulimit -n 16", output="open files: 16")
    yield Cell("list, 16 files", LIST, before="ulimit -n 16", output="/a\thttp")
    yield Cell("certs, no file size", (*PROXYCTL, "certs"), 1, line, "ulimit -f 0", output="large")
    # Some of it is loaded, and not all.
    for memory in ("40000", "50000"):
        limit = f"ulimit -v {memory}"
        yield Cell(f"list, {memory} K", LIST, (0, 1), (0, 1), limit)
        yield Cell(f"drop-in, {memory} K", (*DROP_IN, "-h"), (0, 1), (0, 1), limit)
    for url in ("", "x", "ftp://h", "http://[", "http://h:0", "http+unix://%00", "http://\u2192"):
        command = (*LIST, f"--api-url={url}")
        yield Cell(f"list at {url!r}", command, (0, 1) if not url else 1, (0 if not url else 1, 1))
    if os.geteuid() == 0:
        homeless: dict[str, str | None] = {"HOME": None, "XDG_STATE_HOME": None}
        yield Cell("list as nobody", as_nobody("main", "list"), env=homeless, output="/a\thttp")
        yield Cell("check as nobody", as_nobody("main", "check"), (0, 1), (0, 1), env=homeless)
        yield Cell("certs as nobody", as_nobody("main", "certs", "--dir", "/nope"), 1, line)


CELLS = [*cells()]


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_it_ends_with_a_line_and_a_code(grid: Grid, cell: Cell) -> None:
    check(cell, grid.end(cell))


@pytest.mark.parametrize("columns", ["1", "20", "x"])
@pytest.mark.parametrize("term", ["", "dumb", "xterm-256color"])
def test_a_table_on_any_terminal(columns: str, term: str) -> None:
    with agreeing_api() as url:
        ours, theirs = pty.openpty()
        done = subprocess.Popen(
            LIST,
            env=clean_environment({"HUBGATE_API_URL": url, "COLUMNS": columns, "TERM": term}),
            stdout=theirs,
            stderr=subprocess.PIPE,
        )
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 65536):
                shown += piece
        except OSError:  # Linux: the other end is closed
            pass
        os.close(ours)
        error = done.communicate(timeout=LIMIT)[1].decode()
    check(Cell("table", LIST), Ended(done.returncode, shown.decode(), error))
    assert "/" in shown.decode()
