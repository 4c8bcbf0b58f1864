"""Every command with a standard stream that is closed, full, or has no reader."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.grid.cells import (
    DEMO,
    DROP_IN,
    MODULE,
    NO_READER,
    PROXYCTL,
    WORKER,
    Cell,
    Grid,
    check,
)

pytestmark = pytest.mark.processes

SAYING = {
    "bare": PROXYCTL,
    "version": (*PROXYCTL, "--version"),
    "help": (*PROXYCTL, "serve", "--help"),
    "check": (*PROXYCTL, "check"),
    "list": (*PROXYCTL, "list"),
    "list json": (*PROXYCTL, "list", "--json"),
    "get": (*PROXYCTL, "get", "/a"),
    "get json": (*PROXYCTL, "get", "/a", "--json"),
    "init": (*PROXYCTL, "init"),
    "add": (*PROXYCTL, "add", "/a", "http://127.0.0.1:9"),
    "remove": (*PROXYCTL, "remove", "/a"),
    "export": (*PROXYCTL, "export"),
    "import": (*PROXYCTL, "import", "routes.json"),
    "replace": (*PROXYCTL, "import", "--replace", "routes.json"),
    "watch": (*PROXYCTL, "watch", "--once"),
    "watch json": (*PROXYCTL, "watch", "--once", "--json"),
    "reload": (*PROXYCTL, "reload"),
    "upgrade": (*PROXYCTL, "upgrade"),
    "certs": (*PROXYCTL, "certs"),
    "module": (*MODULE, "--version"),
    "drop-in help": (*DROP_IN, "--help"),
    "drop-in version": (*DROP_IN, "-V"),
    "make run help": (*DEMO, "--help"),
}
FAILING = {
    "no API": ((*PROXYCTL, "list", "--api-url", "http://127.0.0.1:1"), 1),
    "usage": ((*PROXYCTL, "bogus"), 2),
    "no file": ((*PROXYCTL, "check", "none.yaml"), 1),
    "no routes": ((*PROXYCTL, "import", "none.json"), 1),
    "watch nothing": ((*PROXYCTL, "watch", "--api-url", "http://127.0.0.1:1"), 1),
    "serve": ((*PROXYCTL, "serve", "--workers", "none"), 1),
    "drop-in": ((*DROP_IN, "--bogus"), 1),
    "make run": ((*DEMO, "--port", "99999"), 2),
    "worker": (WORKER, 1),
}


def fill(folder: Path) -> None:
    """Put routes there to be imported."""
    (folder / "routes.json").write_text('{"/b": {"target": "http://127.0.0.1:9"}}')


def cells() -> Iterator[Cell]:
    for what, command in SAYING.items():
        yield Cell(f"{what}, full", command, 1, (1, 1), after=">/dev/full", output="No space left")
        yield Cell(f"{what}, closed", command, after=">&-")
        yield Cell(f"{what}, no reader", command, NO_READER, no_reader="stdout")
        yield Cell(f"{what}, no stdin", command, after="<&-")
    for what, (failing, code) in FAILING.items():
        yield Cell(f"{what}, said", failing, code, (1, 1), output=": ")
        yield Cell(f"{what}, errors full", failing, code, after="2>/dev/full")
        yield Cell(f"{what}, errors closed", failing, code, after="2>&-", output="")
        yield Cell(f"{what}, errors unread", failing, code, no_reader="stderr")
        yield Cell(f"{what}, all closed", failing, code, after="<&- >&- 2>&-")


CELLS = [*cells()]


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_it_ends_with_a_line_and_a_code(grid: Grid, cell: Cell) -> None:
    ended = grid.end(cell)
    check(cell, ended)
    if "errors" in cell.name:
        assert ended.out == ""  # it did not go where nobody looks for it
