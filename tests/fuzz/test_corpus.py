"""Everything fuzzing ever found worth keeping, played again."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuzz.entries import CORPUS, file_of, numbered, read, text
from tests.fuzz.targets import TARGETS


def play(file: Path, target: Callable[[bytes], None]) -> int:
    """Give a target each entry of a file; return how many. A failure says which one it was."""
    played = 0
    for place, entry in numbered(file):
        try:
            target(entry)
        except BaseException as error:
            error.add_note(f"{place}: {entry!r}")
            raise
        played += 1
    return played


@pytest.mark.parametrize("name", TARGETS)
def test_corpus(name: str) -> None:
    assert play(file_of(name), TARGETS[name])


def test_a_failure_says_which_entry_it_was(tmp_path: Path) -> None:
    file = tmp_path / "reuse.txt"
    file.write_text(text([b"good", b"worse\n", b"bad"]))

    def target(data: bytes) -> None:
        assert data != b"good"

    with pytest.raises(AssertionError) as failure:
        play(file, target)
    assert failure.value.__notes__ == ["reuse.txt:2: b'good'"]


@pytest.mark.parametrize("name", TARGETS)
def test_a_file_has_its_one_form(name: str) -> None:
    """Sorted and without a line that says the same twice: as a merge writes it."""
    file = file_of(name)
    assert file.read_bytes() == text(read(file)).encode("ascii")


def test_each_file_belongs_to_a_target() -> None:
    assert {file.stem for file in CORPUS.iterdir()} == set(TARGETS)
