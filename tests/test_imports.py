"""Imports flow one way: shared values, then routing, then upstream, then the data plane."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "proxy" / "hubgate"

SHARED = {"bounded", "errors", "model", "route_data", "tasks", "logs"}
LOW = SHARED | {"transport", "routing", "certificates"}
ALLOWED = {
    "__init__": set(),
    "__main__": {"cli"},
    "bounded": set(),
    "errors": set(),
    "model": set(),
    "route_data": set(),
    "tasks": set(),
    "logs": set(),
    "transport": SHARED,
    "routing": SHARED,
    "certificates": SHARED | {"transport", "settings"},
    "http1": SHARED | {"routing"},
    "settings": LOW,
    "upstream": LOW | {"http1"},
    "dataplane": LOW | {"http1", "upstream"},
    "store": SHARED,
    "worker": LOW | {"dataplane"},
    "keeper": {"errors"},
    "control": LOW | {"__init__", "settings", "store", "worker", "keeper"},
    "cli": LOW | {"__init__", "settings", "store", "control", "keeper"},
    "jupyterhub": {"__init__", "errors", "tasks", "keeper"},
}


def part(module: str) -> str:
    """Return the top-level part of hubgate that a dotted module belongs to."""
    names = module.split(".")
    return names[1] if len(names) > 1 else "__init__"


def imported(source: Path) -> Iterator[str]:
    """Yield the dotted name of every module of hubgate that a file imports."""
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.startswith("hubgate."))
        elif isinstance(node, ast.ImportFrom) and node.module == "hubgate":
            known = {path.stem for path in PACKAGE.iterdir()}
            yield from (
                f"hubgate.{one.name}" if one.name in known else "hubgate" for one in node.names
            )
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hubgate."):
            yield node.module or ""


def test_a_file_imports_only_what_lies_below_it() -> None:
    wrong = []
    for source in PACKAGE.rglob("*.py"):
        here = source.relative_to(PACKAGE).with_suffix("").parts[0]
        allowed = ALLOWED[here] | {here}
        wrong += [f"{source}: {name}" for name in imported(source) if part(name) not in allowed]
    assert not wrong


def test_no_part_is_imported_relatively() -> None:
    relative = [
        str(source)
        for source in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.ImportFrom) and node.level > 0
    ]
    assert not relative


@pytest.mark.parametrize(
    "module", ["hubgate.control.supervisor", "hubgate.cli.main", "hubgate.cli.chp"]
)
def test_the_control_plane_never_loads_the_data_plane(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules, sep='\\n')"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert module in loaded
    assert not [
        name for name in loaded if name.startswith(("hubgate.dataplane", "hubgate.upstream"))
    ]


def test_the_drop_in_listens_before_it_loads_what_takes_long() -> None:
    """Each of these would keep browsers waiting longer after a crash."""
    slow = {"pydantic", "yaml", "cryptography", "aiohttp", "sqlite3", "prometheus_client", "rich"}
    code = "import sys, hubgate.cli.chp, hubgate.control.bootstrap; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "hubgate.control.listening.listeners" in loaded
    assert slow.isdisjoint(loaded)
