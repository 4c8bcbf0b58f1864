"""Rooms stay small: the length of files and functions, and names that say what is inside."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILE_LINES = 400
FUNCTION_LINES = 40
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc"}


def sources() -> Iterator[Path]:
    for folder in ("proxy", "tests", "dev", "benchmarks"):
        yield from (ROOT / folder).rglob("*.py")


def long_functions(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield f"{source}:{node.lineno}: {node.name} has {lines} lines"


def test_files_are_short() -> None:
    assert not [path for path in sources() if len(path.read_text().splitlines()) > FILE_LINES]


def test_functions_are_short() -> None:
    assert not [found for source in sources() for found in long_functions(source)]


def test_names_of_files_say_what_is_inside() -> None:
    assert not [path for path in sources() if path.stem in VAGUE or path.parent.name in VAGUE]
