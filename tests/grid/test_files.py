"""Every file that a person names, in every form in which it cannot be read; ports and folders."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.grid.cells import DEMO, DROP_IN, PROXYCTL, Cell, Grid, check

pytestmark = pytest.mark.processes

# How a file is put in place by the shell, and what is said of it.
BAD_FILES = {
    "zeros": ("ln -s /dev/zero F", "larger than|a device"),
    "pipe": ("mkfifo F", ""),
    "folder": ("mkdir F", "Is a directory"),
    "socket": ("mv api.sock F", "No such device"),
    "unreadable": ("touch F; chmod 0 F", "Permission denied"),
    "latin": (r"printf '\351' > F", ""),
    "zero bytes": (r"printf 'a\000b' > F", ""),
    "gigabyte": ("truncate -s 1G F", "larger than"),
    "missing": (":", "[Nn]o such file"),
    "below a file": ("touch x; ln -s x/y F", "Not a directory"),
    "a circle": ("ln -s F F", "symbolic links"),
}
# Where a file is named, and how many lines may be said of it.
NAMED = {
    "routes.yaml": ((*PROXYCTL, "check", "F"), 1),
    "token": ((*PROXYCTL, "check", "--token-file", "F"), 1),
    "certificate": ((*PROXYCTL, "serve", "--tls-cert", "F", "--tls-key", "F"), 2),
    "list's token": ((*PROXYCTL, "list", "--token-file", "F"), 1),
    "list's CA": ((*PROXYCTL, "list", "--api-url", "https://localhost:1", "--ca", "F"), 1),
    "drop-in's CA": ((*DROP_IN, "--client-ssl-ca", "F"), 1),
}
# For each, the forms that differ in it; every form is tried with two of them at least.
PAIRS = {
    "routes.yaml": [*BAD_FILES],
    "token": [*BAD_FILES],
    "certificate": ["zeros", "pipe", "folder", "gigabyte", "missing"],
    "list's token": ["socket", "unreadable", "a circle"],
    "list's CA": ["zeros", "pipe", "folder", "missing", "zero bytes"],
    "drop-in's CA": ["zeros", "unreadable", "latin", "gigabyte", "below a file"],
}
DELETED = 'cd gone; rmdir "$PWD"'
CLOSED = "cd closed; chmod 0 ."
READ_ONLY = "cd closed; chmod 555 ."


def fill(folder: Path) -> None:
    """Prepare what the cells' shells need in their folder."""
    (folder / "gone").mkdir()
    (folder / "closed").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        here = os.open(folder, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{here}/api.sock")
        os.close(here)


def bad_files() -> Iterator[Cell]:
    for where, kinds in PAIRS.items():
        command, most = NAMED[where]
        for kind in kinds:
            make, said = BAD_FILES[kind]
            if where == "routes.yaml" and kind == "pipe":
                continue  # an empty one, as /dev/null is
            lines = (1, most)
            yield Cell(f"{where}: {kind}", command, 1, lines, make, output=said, as_user=True)


def ports() -> Iterator[Cell]:
    for port in ("99999", "-1", "x", "0x50", "1e3"):
        said = (1, 1)
        yield Cell(f"port {port}", (*PROXYCTL, "serve", f"--port={port}"), 1, said)
        yield Cell(f"drop-in's port {port}", (*DROP_IN, f"--port={port}"), 1, said)
        yield Cell(f"make run PORT={port}", (*DEMO, f"--port={port}"), 2, said)
    taken = 'set -- "$@" --port "$TAKEN"'
    free = ("--api-port", "0")
    yield Cell("taken", (*PROXYCTL, "serve", *free, "--api-open"), 1, (2, 2), taken, output="use")
    local = (*DROP_IN, "--ip", "127.0.0.1", *free)
    yield Cell("drop-in's taken", local, 1, (2, 2), taken, output="use")
    yield Cell("make run, taken", DEMO, 1, (1, 1), taken, output="in use")
    bad_url = ("list", "--api-url", "http://127.0.0.1:99999")
    yield Cell("API's port", (*PROXYCTL, *bad_url), 1, (1, 1), output="--api-url")


def folders() -> Iterator[Cell]:
    line = (1, 1)
    for name, before in (("deleted", DELETED), ("closed", CLOSED), ("read-only", READ_ONLY)):

        def cell(what: str, *command: str, code: int = 0, said: str = "") -> Cell:
            lines = line if code else (0, 0)
            full = f"{what}, folder {name}"  # noqa: B023 - used at once
            return Cell(full, command, code, lines, before, output=said, as_user=True)  # noqa: B023

        yield cell("list", *PROXYCTL, "list")
        yield cell("certs", *PROXYCTL, "certs", code=1)
        yield cell("help", *DROP_IN, "--help")
        if name == "closed":
            yield cell("check", *PROXYCTL, "check", code=1, said="give ROUTES.YAML")
            yield cell("serve", *PROXYCTL, "serve", code=1, said="give ROUTES.YAML")
        else:
            yield cell("check", *PROXYCTL, "check")
        yield cell("a file", *PROXYCTL, "check", "my.yaml", code=1)
        yield cell("a certificate", *DROP_IN, "--client-ssl-ca", "ca.pem", code=1, said="ca.pem: ")
        log = ("--access-log", "logs/a")
        yield cell("a log", *PROXYCTL, "check", "/dev/null", *log, code=1, said="logs")


CELLS = [*bad_files(), *ports(), *folders()]


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_it_ends_with_a_line_and_a_code(grid: Grid, cell: Cell) -> None:
    check(cell, grid.end(cell))
