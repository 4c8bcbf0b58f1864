"""Entries come back from their file as they were, byte for byte."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.entries import expand, keep, numbered, read, text

AWKWARD = [
    b"",
    b" ",
    b"in front of white space \t ",
    b"\n",
    b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"it's",
    b'"quoted"',
    b"""'both' "quotes\"""",
    b"\\",
    b"\\x41",
    b"# not a comment",
    "Grüße\u2028\x85".encode(),
    bytes(range(256)),
    *(bytes([number]) for number in range(256)),
]


def test_bytes_come_back_exactly(tmp_path: Path) -> None:
    file = tmp_path / "entries.txt"
    file.write_text(text(AWKWARD), "ascii")
    assert read(file) == set(AWKWARD)
    assert len(list(numbered(file))) == len(set(AWKWARD))


@given(entries=st.sets(st.binary()))
def test_any_bytes_come_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, entries: set[bytes]
) -> None:
    file = tmp_path_factory.mktemp("entries") / "entries.txt"
    file.write_text(text(entries), "ascii")
    assert read(file) == entries


def test_an_entry_is_a_line_that_a_person_can_read() -> None:
    written = text([b"POST / HTTP/1.1\r\n\r\n\x00\xff "])
    assert written == r"b'POST / HTTP/1.1\r\n\r\n\x00\xff '" + "\n"


def test_lines_are_sorted_and_none_is_there_twice() -> None:
    lines = text([b"b", b"it's", b"a", b"b", b""]).splitlines()
    # As `LC_ALL=C sort -u` has it: a double quote comes before a single one.
    assert lines == ['b"it\'s"', "b''", "b'a'", "b'b'"]


@pytest.mark.parametrize("line", ["GET /", "'text'", "", "b'unfinished", "b'a' b'b',"])
def test_a_line_that_is_not_an_entry_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "request.txt"
    file.write_text(f"b'a'\n{line}\n")
    with pytest.raises(ValueError, match=r"^request\.txt:2: not a bytes literal"):
        read(file)


def test_a_folder_has_each_entry_under_the_name_that_libfuzzer_gives_it(tmp_path: Path) -> None:
    file, folder = tmp_path / "paths.txt", tmp_path / "build" / "paths"
    file.write_text(text(AWKWARD), "ascii")
    expand(file, folder)
    found = {each.name: each.read_bytes() for each in folder.iterdir()}
    assert found == {hashlib.sha1(entry).hexdigest(): entry for entry in AWKWARD}


def test_what_a_folder_adds_is_kept_beside_what_was_there(tmp_path: Path) -> None:
    file, folder = tmp_path / "paths.txt", tmp_path / "paths"
    folder.mkdir()
    (folder / "1").write_bytes(b"old")
    (folder / "2").write_bytes(b"new\n")
    assert keep(folder, file) == 2
    (folder / "1").unlink()
    (folder / "3").write_bytes(b"")
    assert keep(folder, file) == 1
    assert read(file) == {b"old", b"new\n", b""}
    assert file.read_text() == text([b"", b"new\n", b"old"])


def test_a_target_that_is_new_has_no_entries_yet(tmp_path: Path) -> None:
    expand(tmp_path / "new.txt", tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []
