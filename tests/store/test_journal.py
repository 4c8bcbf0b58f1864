"""The file itself: taken over, appended to, written anew, and never in the way."""

import logging
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hubgate.model import Route
from hubgate.store import journal as module
from hubgate.store.journal import USABLE_AGE, Journal
from hubgate.store.journal_lines import HEADER, put_line, read_journal


def route(key: str, target: str = "http://127.0.0.1:9001") -> Route:
    return Route(key, target, {"target": target, "user": key})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hubgate" / "0123.routes"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    journal = Journal(path)
    assert not journal.open().routes
    yield journal
    journal.close()


def after_a_crash(path: Path) -> Journal:
    """Return a journal that finds the file as a killed process leaves it: its lock gone."""
    return Journal(path)


def test_a_successor_finds_what_was_written(journal: Journal, path: Path) -> None:
    journal.write([route("/a"), route("/b"), route("/c")], [], {"/a": 5.0, "/nobody": 6.0})
    journal.write([route("/b", "http://127.0.0.1:2")], ["/c", "/nobody"], {"/b": 7.0})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    journal.close()
    successor = after_a_crash(path)
    kept = successor.open()
    assert kept.routes == {"/a": route("/a"), "/b": route("/b", "http://127.0.0.1:2")}
    assert kept.activity == {"/a": 5.0, "/b": 7.0}
    successor.close()
    assert after_a_crash(path).open() == kept
    assert os.listdir(path.parent) == [path.name]


def test_a_clean_end_leaves_nothing(journal: Journal, path: Path) -> None:
    journal.write([route("/a")], [], {})
    journal.remove()
    journal.remove()
    journal.write([route("/b")], [], {})
    assert not os.listdir(path.parent)


def test_two_never_have_the_same_file(journal: Journal, path: Path) -> None:
    journal.write([route("/a")], [], {})
    second = Journal(path)
    for _ in range(2):
        with pytest.raises(OSError, match="another proxy keeps its routes there"):
            second.open()
    journal.write([route("/b")], [], {})
    assert set(read_journal(path.read_bytes()).routes) == {"/a", "/b"}
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "does not start"),
        (b"\xff" * 100, "does not start"),
        (HEADER + b"nonsense\n" + put_line(route("/a")), "line 2 is damaged"),
    ],
)
def test_a_damaged_file_is_one_line_in_the_log(
    path: Path, caplog: pytest.LogCaptureFixture, content: bytes, line: str
) -> None:
    path.parent.mkdir(mode=0o700)
    path.touch(0o600)
    path.write_bytes(content)
    journal = Journal(path)
    assert not journal.open().routes
    (record,) = caplog.records
    assert f"{path}: not used: " in record.getMessage()
    assert line in record.getMessage()
    journal.write([route("/a")], [], {})
    journal.close()
    assert set(Journal(path).open().routes) == {"/a"}


def test_a_line_that_was_cut_off_costs_that_line_only(
    journal: Journal, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal.write([route("/a")], [], {})
    journal.close()
    with path.open("ab") as file:
        file.write(put_line(route("/b"))[:-5])
    successor = Journal(path)
    assert set(successor.open().routes) == {"/a"}
    successor.write([route("/c")], [], {})
    successor.close()
    assert set(Journal(path).open().routes) == {"/a", "/c"}
    assert not caplog.records


def test_an_old_file_is_not_used(
    journal: Journal, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    journal.write([route("/a")], [], {})
    journal.close()
    os.utime(path, (0, time.time() - USABLE_AGE - 60))
    assert not Journal(path).open().routes
    assert f"{path}: not used: it is 11 minutes old" in caplog.text


def test_a_file_from_the_future_is_not_used(
    journal: Journal, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It would be used until the clock is there, though its targets are gone."""
    caplog.set_level(logging.INFO)
    journal.write([route("/a")], [], {})
    journal.close()
    os.utime(path, (0, time.time() + USABLE_AGE + 60))
    assert not Journal(path).open().routes
    assert f"{path}: not used: it is from the future, by the clock" in caplog.text


def test_a_huge_file_is_not_read(
    journal: Journal, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal.close()
    os.truncate(path, 1 << 40)
    successor = after_a_crash(path)
    assert not successor.open().routes
    assert "not used: it is larger than 512 MiB" in caplog.text
    assert path.stat().st_size < 1000
    successor.close()


def test_a_file_stays_young_while_its_proxy_runs(journal: Journal, path: Path) -> None:
    os.utime(path, (0, 0))
    journal.write([], [], {})
    assert time.time() - path.stat().st_mtime < 60


def test_others_files_are_neither_read_nor_written(
    path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(HEADER + put_line(route("/evil")))
    path.parent.mkdir(mode=0o700)
    path.symlink_to(victim)
    journal = Journal(path)
    assert not journal.open().routes
    journal.write([route("/a")], [], {})
    journal.close()
    assert "not used" in caplog.text
    assert victim.read_bytes() == HEADER + put_line(route("/evil"))
    assert set(Journal(path).open().routes) == {"/a"}


def test_the_file_is_bounded_by_what_is_in_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spare = 4096
    monkeypatch.setattr(module, "SPARE", spare)
    journal = Journal(path)
    journal.open()
    live = sum(len(put_line(route(f"/{number}"))) for number in range(20))
    biggest = 0
    for turn in range(300):
        journal.write([route(f"/{turn % 20}")], [f"/{(turn + 7) % 20}"], {"/1": float(turn)})
        biggest = max(biggest, path.stat().st_size)
    # Twice what it can hold, that being a little more with the routes' activity, and the rest.
    assert spare < biggest < 2 * (live + 4096) + spare + 4096
    expected = read_journal(path.read_bytes())
    journal.close()
    assert Journal(path).open() == expected
    assert os.listdir(path.parent) == [path.name]


def test_a_file_that_somebody_removed_is_written_again(journal: Journal, path: Path) -> None:
    journal.write([route("/a")], [], {})
    path.unlink()
    journal.write([], [], {})
    assert set(read_journal(path.read_bytes()).routes) == {"/a"}


def test_a_file_that_somebody_put_there_is_left_alone(journal: Journal, path: Path) -> None:
    path.unlink()
    path.write_text("mine")
    with pytest.raises(OSError, match="another process has put its own file"):
        journal.write([route("/a")], [], {})
    journal.remove()
    assert path.read_text() == "mine"
    assert os.listdir(path.parent) == [path.name]


def test_after_a_full_disk_everything_is_written(
    journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.write([route("/a")], [], {})

    def torn(fd: int, data: bytes) -> None:
        os.write(fd, data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(module, "_write_all", torn)
        for key in ("/b", "/c"):
            with pytest.raises(OSError, match="No space left"):
                journal.write([route(key)], [], {})
    assert os.listdir(path.parent) == [path.name]
    assert set(read_journal(path.read_bytes()).routes) == {"/a"}
    journal.write([], ["/a"], {})
    assert set(read_journal(path.read_bytes()).routes) == {"/b", "/c"}


def test_files_that_nobody_came_back_for_are_swept_away(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    for name in ("ffff.routes", "eeee.routes.0a1b", "notes.txt"):
        (path.parent / name).touch()
        os.utime(path.parent / name, (0, 0))
    (path.parent / "dddd.routes").touch()
    journal = Journal(path)
    journal.open()
    assert sorted(os.listdir(path.parent)) == sorted([path.name, "dddd.routes", "notes.txt"])
    journal.close()


def test_an_unusable_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"File exists|Not a directory"):
        Journal(tmp_path / "file" / "0123.routes").open()
