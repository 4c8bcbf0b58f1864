"""Imports flow one way, those for type checkers included; no two files import each other."""

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "proxy" / "hubgate"

VALUES = {
    *("errors", "model", "tasks", "logs", "output", "process_name", "bounded"),
    *("current_folder", "file_reading", "folders", "redis_address"),
}
LOW = VALUES | {"transport", "routing", "certificates"}
# What each part of the package may import besides itself.
PARTS: dict[str, set[str]] = {
    "__init__": set(),
    "__main__": {"cli"},
    "bounded": set(),
    "current_folder": set(),
    "errors": set(),
    "file_reading": set(),
    "folders": set(),
    "model": set(),
    "tasks": set(),
    "logs": {"output"},
    "output": set(),
    "process_name": set(),
    "redis_address": {"errors"},
    "transport": VALUES,
    "routing": VALUES,
    "certificates": VALUES | {"transport"},
    "http1": VALUES | {"routing"},
    "settings": LOW,
    "upstream": LOW | {"http1"},
    "dataplane": LOW | {"http1", "upstream"},
    "store": VALUES,
    "worker": LOW | {"dataplane"},
    "keeper": {"errors", "output"},
    "control": LOW | {"__init__", "settings", "store", "worker", "keeper"},
    "cli": LOW | {"__init__", "settings", "store", "control", "keeper"},
    "hub_traits": {"errors", "settings"},
    "jupyterhub": {"__init__", "errors", "tasks", "keeper", "hub_traits", "settings"},
}

# Within a part: what each of its rooms, a folder or a file, may import of the others.
ROOMS: dict[str, dict[str, set[str]]] = {
    "dataplane": {
        "counters": set(),
        "error_log": set(),
        "downstream": set(),
        "tunnels": {"access_log"},
        "access_log": set(),
        "forwarding": {"access_log", "counters", "downstream", "error_log"},
        "unfinished": {"counters"},
        "plane": {
            *("access_log", "counters", "downstream", "error_log", "forwarding", "tunnels"),
            "unfinished",
        },
    },
    "control": {
        "handover": set(),
        "notify": set(),
        "file_watch": set(),
        "pidfile": set(),
        "replica_name": set(),
        "running_file": set(),
        "listening": {"handover"},
        "workers": {"handover"},
        "routes": {"handover"},
        "bootstrap": {"handover", "listening", "workers"},
        "startup_log": {"health", "listening", "routes"},
        "start_checks": {"listening", "pidfile"},
        "web": {"listening"},
        "health": {"notify", "web"},
        "metrics": {"health", "routes", "web"},
        "replicas": {"api", "health", "listening", "metrics", "routes", "web"},
        "port_endpoint": {"listening", "metrics", "web"},
        "worker_reports": {"metrics", "routes"},
        "upgrade": {"handover", "workers"},
        "reload": {"file_watch", "notify", "routes", "web", "workers"},
        "api": {"metrics", "reload", "routes", "upgrade", "web"},
        "supervisor": {
            *("startup_log", "api", "bootstrap", "file_watch", "handover", "listening"),
            *(
                "health",
                "metrics",
                "notify",
                "pidfile",
                "port_endpoint",
                "reload",
                "replica_name",
                "replicas",
                "worker_reports",
                "routes",
                "running_file",
                "upgrade",
                "web",
                "workers",
            ),
        },
        "launch": {"bootstrap", "handover", "pidfile", "supervisor", "upgrade"},
    },
}


def module_of(source: Path) -> str:
    """Return the dotted name of a file: `hubgate.routing.trie`."""
    names = source.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


SOURCES = {module_of(source): source for source in PACKAGE.rglob("*.py")}


def imported(source: Path) -> Iterator[str]:
    """Yield the module of hubgate behind each import of a file, wherever in it that stands."""
    for node in ast.walk(ast.parse(source.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            each = [f"{base}.{name.name}" for name in node.names]
            names = [name if name in SOURCES else base for name in each]
        yield from (name for name in names if name.split(".")[0] == "hubgate")


IMPORTS = {module: {*imported(source)} - {module} for module, source in SOURCES.items()}


def at(module: str, level: int) -> str:
    """Return the part (level 1) or the room (level 2) that a module stands in."""
    names = module.split(".")
    return names[level] if len(names) > level else "__init__"


def crossing(
    level: int, allowed: Mapping[str, set[str]], modules: Iterable[str]
) -> Iterator[tuple[str, str]]:
    """Yield each import that goes where it may not."""
    for module in modules:
        here = at(module, level)
        for other in IMPORTS[module]:
            if at(other, level) not in allowed[here] | {here}:
                yield module, other


def test_a_part_imports_only_what_lies_below_it() -> None:
    assert not [*crossing(1, PARTS, SOURCES)]


@pytest.mark.parametrize("part", ROOMS)
def test_a_room_imports_only_what_lies_below_it(part: str) -> None:
    rooms = {"__init__": set(), **ROOMS[part]}
    inside = [module for module in SOURCES if at(module, 1) == part]
    wrong = [
        (module, other) for module, other in crossing(2, rooms, inside) if at(other, 1) == part
    ]
    assert not wrong


@pytest.mark.parametrize("allowed", [PARTS, *ROOMS.values()], ids=["parts", *ROOMS])
def test_the_plan_itself_has_one_direction(allowed: dict[str, set[str]]) -> None:
    TopologicalSorter(allowed).prepare()


def test_no_files_import_each_other() -> None:
    try:
        TopologicalSorter(IMPORTS).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' <- '.join(error.args[1])}")


def test_nothing_is_imported_that_is_not_there() -> None:
    assert not {name for names in IMPORTS.values() for name in names} - SOURCES.keys()


def test_no_part_is_imported_relatively() -> None:
    relative = [
        str(source)
        for source in SOURCES.values()
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.ImportFrom) and node.level > 0
    ]
    assert not relative


# --- what is loaded, and when ------------------------------------------------------------------


def loaded(*modules: str) -> set[str]:
    """Return all that a fresh interpreter has loaded once it has imported these."""
    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "module", ["hubgate.control.supervisor", "hubgate.cli.serve", "hubgate.cli.drop_in"]
)
def test_the_control_plane_never_loads_the_data_plane(module: str) -> None:
    found = loaded(module)
    assert module in found
    assert not [
        name for name in found if name.startswith(("hubgate.dataplane", "hubgate.upstream"))
    ]


def test_the_drop_in_listens_before_it_loads_what_takes_long() -> None:
    """Each of these would keep browsers waiting longer after a crash."""
    slow = {"pydantic", "yaml", "cryptography", "aiohttp", "sqlite3", "prometheus_client", "rich"}
    found = loaded("hubgate.cli.drop_in", "hubgate.control.bootstrap")
    assert "hubgate.control.listening.listeners" in found
    assert slow.isdisjoint(found)


def early() -> list[str]:
    """Return what is imported before the ports are open."""
    listening = [name for name in SOURCES if name.startswith("hubgate.control.listening")]
    return [*listening, "hubgate.control.workers.spawn", "hubgate.control.bootstrap"]


@pytest.mark.parametrize("module", early())
def test_what_comes_first_loads_nothing_heavy(module: str) -> None:
    assert {"aiohttp", "pydantic", "cryptography"}.isdisjoint(loaded(module))
