"""Trying a store: what a start would say, without changing anything."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from hubgate.errors import StoreError
from hubgate.store.trial import try_store
from tests.store.holder import end, held, opening, said

KILLED = """
import asyncio, os, sys
from hubgate.model import Route
from hubgate.store.sqlite import SqliteStore

async def write():
    store = SqliteStore(sys.argv[1])
    await store.open()
    await store.put(Route("/a", "http://a", {"target": "http://a"}))
    os._exit(0)

asyncio.run(write())
"""


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.iterdir()}


def killed(path: Path) -> None:
    """Leave what a killed process does: a file, and its journal beside it."""
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=True, timeout=60)


def test_memory_needs_nothing() -> None:
    assert try_store("memory:") == []


def test_a_missing_file_and_its_folders_are_not_made(tmp_path: Path) -> None:
    assert try_store(f"sqlite:{tmp_path}/a/b/routes.db") == []
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_read_and_stays(tmp_path: Path) -> None:
    killed(tmp_path / "routes.db")
    before = contents(tmp_path)
    assert (tmp_path / "routes.db-wal") in before
    assert try_store(f"sqlite:{tmp_path}/routes.db") == []
    assert contents(tmp_path) == before


def test_what_is_in_the_journal_counts(tmp_path: Path) -> None:
    """The file itself is whole; what a start would find is not."""
    path = tmp_path / "routes.db"
    killed(path)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE routes SET data = '[]'")
    connection.commit()  # closing it would move the change to the file
    before = contents(tmp_path)
    with pytest.raises(StoreError, match=rf"^store: {path} is damaged \(route '/a'"):
        try_store(f"sqlite:{path}")
    assert contents(tmp_path) == before
    connection.close()


def test_one_in_use_is_a_warning_and_stays_in_use(tmp_path: Path) -> None:
    path = tmp_path / "routes.db"
    with held(path):
        (line,) = try_store(f"sqlite:{path}")
        assert line.startswith(f"store: {path} is in use by another process")
        another = opening(path)
        assert said(another) == line
        end(another)
    assert try_store(f"sqlite:{path}") == []


def test_what_others_can_change_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "routes.db").touch()
    (tmp_path / "routes.db").chmod(0o666)
    (line,) = try_store(f"sqlite:{tmp_path}/routes.db")
    assert line.startswith("store: other users can change the routes, because they can write to ")
