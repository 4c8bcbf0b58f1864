"""A memory store that a successor can go on from, and that never waits for its file."""

import asyncio
import logging
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from hubgate.model import Route
from hubgate.store import recovery
from hubgate.store.journal_lines import read_journal
from hubgate.store.recovery import RecoveryStore
from tests.control.waiting import until


def route(key: str) -> Route:
    target = "http://127.0.0.1:9001"
    return Route(key, target, {"target": target, "jupyterhub": True})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hubgate" / "0123.routes"


def written(path: Path) -> set[str]:
    return set(read_journal(path.read_bytes()).routes)


def there(path: Path) -> bool:
    return path.exists()


async def test_a_successor_goes_on_where_a_killed_process_stopped(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    store, before = RecoveryStore(path), time.time()
    await store.open()
    for key in ("/a", "/b", "/c"):
        await store.put(route(key))
    await store.delete("/b")
    store.note_activity({"/c": 5e9, "/nobody": 5e9})
    await store.close()

    successor = RecoveryStore(path)
    await successor.open()
    assert await successor.load() == [route("/a"), route("/c")]
    assert set(successor.last_activity()) == {"/a", "/c"}
    assert before <= successor.last_activity()["/a"] <= time.time()
    assert successor.last_activity()["/c"] == 5e9
    await successor.close()
    assert caplog.messages == ["recovered 2 routes left by the previous proxy"]


async def test_the_file_follows_within_a_moment(path: Path) -> None:
    store = RecoveryStore(path)
    await store.open()
    await store.put(route("/a"))
    await until(lambda: written(path) == {"/a"})
    await store.delete("/a")
    await until(lambda: not written(path))
    await store.close()


async def test_changes_that_come_one_after_the_other_are_written_together(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "GATHERING", 0.2)
    store = RecoveryStore(path)
    await store.open()
    writes: list[int] = []
    write = store._journal.write

    def counted(put: list[Route], *more: Any) -> None:
        writes.append(len(put))
        write(put, *more)

    monkeypatch.setattr(store._journal, "write", counted)
    await store.put(route("/first"))
    await until(lambda: written(path) == {"/first"})
    for number in range(10):
        await store.put(route(f"/{number}"))
        await asyncio.sleep(0.001)
    await until(lambda: len(written(path)) == 11)
    await store.close()
    assert writes[0] == 1
    assert sum(writes) == 11
    assert len(writes) < 11


async def test_a_clean_end_leaves_nothing_and_is_written_no_more(path: Path) -> None:
    store = RecoveryStore(path)
    await store.open()
    await store.put(route("/a"))
    await store.forget()
    assert not there(path)
    await store.put(route("/b"))
    store.note_activity({"/b": 1.0})
    assert await store.load() == [route("/a"), route("/b")]
    await store.forget()
    await store.close()
    await store.close()
    assert not there(path)


async def test_no_change_waits_for_the_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = RecoveryStore(path)
    await store.open()
    write, stuck, freed = store._journal.write, threading.Event(), threading.Event()

    def slow(*changes: object) -> None:
        stuck.set()
        assert freed.wait(60)
        write(*changes)  # type: ignore[arg-type]

    monkeypatch.setattr(store._journal, "write", slow)
    await store.put(route("/0"))
    await until(stuck.is_set)
    for number in range(1, 100):
        await store.put(route(f"/{number}"))
        await store.delete(f"/{number - 1}")
    assert await store.load() == [route("/99")]
    freed.set()
    await store.close()
    assert written(path) == {"/99"}


async def test_a_folder_that_cannot_be_had_is_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    store = RecoveryStore(tmp_path / "file" / "hubgate" / "0123.routes")
    await store.open()
    await store.put(route("/a"))
    await store.delete("/b")
    store.note_activity({"/a": 1.0})
    assert await store.load() == [route("/a")]
    await store.forget()
    await store.close()
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "routes will not survive a crash" in record.getMessage()
    assert "XDG_STATE_HOME" in record.getMessage()


async def test_a_full_disk_is_one_warning_until_there_is_room_again(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(recovery, "RETRY", 0.05)
    store = RecoveryStore(path)
    await store.open()
    write, attempts = store._journal.write, 0

    def failing(*changes: object) -> None:
        nonlocal attempts
        attempts += 1
        if attempts > 2:
            write(*changes)  # type: ignore[arg-type]
            return
        store._journal._apply(*changes)  # type: ignore[arg-type]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store._journal, "write", failing)
    for number in range(1, 4):
        await store.put(route(f"/{number}"))
        await until(lambda number=number: attempts >= number)
    await until(lambda: len(caplog.records) == 2)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "No space left on device; routes may not survive a crash" in caplog.messages[0]
    assert "can be written again" in caplog.messages[1]
    await store.close()


ON_A_SMALL_DISK = (
    *("unshare", "--mount", "sh", "-c"),
    'mount -t tmpfs -o size=128k,mode=0700 tmpfs "$1" && shift && exec "$@"',
    "sh",
)
SUCCESSOR = """
import asyncio, logging, sys
from contextlib import suppress
from pathlib import Path
from hubgate.store import recovery
from tests.store.test_recovery import route, until, written

async def successor(path):
    recovery.RETRY = 0.05
    first = recovery.RecoveryStore(path)
    await first.open()
    for number in range(100):
        await first.put(route(f"/{number}"))
    await first.close()
    with suppress(OSError), open(path.parent.parent / "filler", "wb", 0) as filler:
        while filler.write(bytes(512)):
            pass
    print(len(written(path)), "before")
    for key in ("/new", "/newer"):
        store = recovery.RecoveryStore(path)
        await store.open()
        print(len(await store.load()), "found")
        await store.put(route(key))
        await asyncio.sleep(0.2)
        print(len(written(path)), "in the file")
        if key == "/new":
            await store.close()
    (path.parent.parent / "filler").unlink()
    await until(lambda: "/newer" in written(path))
    print(len(written(path)), "in the end")
    await store.close()

logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(message)s", level="INFO")
asyncio.run(successor(Path(sys.argv[1])))
"""


def test_a_file_that_can_be_read_but_not_rewritten_is_kept_and_used(tmp_path: Path) -> None:
    """On a disk that is really full, until there is room again."""
    path = tmp_path / "hubgate" / "0123.routes"
    if subprocess.run([*ON_A_SMALL_DISK, str(tmp_path), "true"], check=False).returncode:
        pytest.skip("no file system can be mounted here")
    command = [*ON_A_SMALL_DISK, str(tmp_path), sys.executable, "-c", SUCCESSOR, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.replace(f"{path}: ", "").splitlines() == [
        "100 before",
        *[
            "WARNING No space left on device; it is kept as it is until it can be written: routes"
            " may not survive a crash",
            "INFO recovered 100 routes left by the previous proxy",
            "100 found",
            "100 in the file",
        ]
        * 2,
        "INFO can be written again",
        "101 in the end",
    ]


async def test_activity_is_written_now_and_then(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "INTERVAL", 0.1)
    store = RecoveryStore(path)
    await store.open()
    await store.put(route("/a"))
    store.note_activity({"/a": 5e9})
    await until(lambda: read_journal(path.read_bytes()).activity == {"/a": 5e9})
    await store.close()


def test_its_repr_says_how_much_it_holds(path: Path) -> None:
    assert "0 routes" in repr(RecoveryStore(path))
