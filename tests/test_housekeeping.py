"""Rooms stay small: the length of files and functions, and names that say what is inside."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.packaging.source import tracked

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "proxy" / "hubgate"
FILE_LINES = 400
FUNCTION_LINES = 40
FILES_IN_A_FOLDER = 16
TRACKED_FILES = 1000  # far beyond the code: data has come in as files of its own
SLOW = {"processes", "real_time"}
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


def folders() -> Iterator[Path]:
    """Yield the package's folders that hold source."""
    yield from sorted({source.parent for source in PACKAGE.rglob("*.py")})


def marks(decorated: ast.AST) -> set[str]:
    """Return the names in what a test or a module is marked with."""
    return {node.attr for node in ast.walk(decorated) if isinstance(node, ast.Attribute)}


def quick_tests(file: Path) -> Iterator[str]:
    """Yield the tests of a file that `make test-quick` runs."""
    body = ast.parse(file.read_text()).body
    for node in body:
        if isinstance(node, ast.Assign) and SLOW & marks(node):
            return
    for node in body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        marked = any(SLOW & marks(each) for each in node.decorator_list)
        if node.name.startswith("test_") and not marked:
            yield node.name


def test_files_are_short() -> None:
    assert not [path for path in sources() if len(path.read_text().splitlines()) > FILE_LINES]


def test_functions_are_short() -> None:
    assert not [found for source in sources() for found in long_functions(source)]


def test_one_class_name_is_one_thing() -> None:
    names = Counter(
        node.name
        for source in (ROOT / "proxy").rglob("*.py")
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.ClassDef)
    )
    assert not [name for name, count in names.items() if count > 1]


def test_names_of_files_say_what_is_inside() -> None:
    assert not [path for path in sources() if path.stem in VAGUE or path.parent.name in VAGUE]


def test_folders_are_small() -> None:
    counts = {folder: sum(each.is_file() for each in folder.iterdir()) for folder in folders()}
    assert not {folder: count for folder, count in counts.items() if count > FILES_IN_A_FOLDER}


def test_few_files_are_tracked() -> None:
    assert len(tracked()) < TRACKED_FILES


def test_every_folder_of_the_package_has_quick_tests() -> None:
    mirrors = [ROOT / "tests" / folder.relative_to(PACKAGE) for folder in folders()]
    assert not [
        mirror
        for mirror in mirrors
        if not any(name for file in mirror.glob("test_*.py") for name in quick_tests(file))
    ]
