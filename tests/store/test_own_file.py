"""The store of `proxyctl serve` that nobody named: what it keeps, and what it does without."""

import asyncio
import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from hubgate.model import Route
from hubgate.store import open_store, sqlite
from hubgate.store.own_file import HUB_ROUTES_LAST, OwnFileStore
from hubgate.store.trial import try_store
from hubgate.store.unseen import LeftOut
from tests.control.waiting import until
from tests.store.holder import held

TARGET = "http://127.0.0.1:9001"
INSTEAD = "routes are kept in memory, and lost when hubgate ends"


def route(key: str, **data: object) -> Route:
    return Route(key, TARGET, {"target": TARGET, **data})


BY_HAND, OF_A_HUB = route("/lab"), route("/user/a", user="a", jupyterhub=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "hubgate" / "api-8001.routes.db"


@contextlib.asynccontextmanager
async def opened(path: Path) -> AsyncIterator[OwnFileStore]:
    store = open_store(f"sqlite:{path}", own=True)
    assert isinstance(store, OwnFileStore)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def kept(path: Path) -> set[str]:
    """Return the keys of the routes that a start has."""
    async with opened(path) as store:
        assert not store.in_memory
        return {each.key for each in await store.load()}


async def fill(path: Path) -> None:
    async with opened(path) as store:
        await store.load()
        for each in (BY_HAND, OF_A_HUB):
            await store.put(each)


def change(path: Path, statement: str, *values: object) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement, values)


def seen(path: Path, ago: float) -> None:
    """Have the file look as if its last hubgate ended so many seconds ago."""
    change(path, "UPDATE seen SET moment = ?", time.time() - ago)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def in_file(path: Path) -> set[str]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return {key for (key,) in connection.execute("SELECT key FROM routes")}


# --- what is kept ---


async def test_a_start_soon_after_has_every_route(path: Path) -> None:
    await fill(path)
    seen(path, HUB_ROUTES_LAST - 60)
    assert await kept(path) == {"/lab", "/user/a"}


async def test_only_its_user_can_read_it(path: Path) -> None:
    before = os.umask(0)
    try:
        await fill(path)
    finally:
        os.umask(before)
    assert [mode(each) for each in (path.parent, path)] == [0o700, 0o600]


@pytest.mark.parametrize("ago", [HUB_ROUTES_LAST + 1, 86400.0, -3600.0])
async def test_later_a_hubs_routes_are_gone_for_good(path: Path, ago: float) -> None:
    """A clock that was ahead says nothing of when that was."""
    await fill(path)
    seen(path, ago)
    async with opened(path) as store:
        assert await store.load() == [BY_HAND]
        assert store.left_out.count == 1
        known = store.left_out.seconds
        assert known is None if ago < 0 else known is not None and ago <= known < ago + 60
        assert set(store.last_activity()) == {"/lab"}
    assert in_file(path) == {"/lab"}
    assert await kept(path) == {"/lab"}


async def test_activity_does_not_decide(path: Path) -> None:
    """A notebook that nobody has used for a day is still there, if hubgate was."""
    await fill(path)
    change(path, "UPDATE routes SET last_activity = ?", time.time() - 86400)
    assert await kept(path) == {"/lab", "/user/a"}


async def test_a_file_that_nobody_was_seen_with(path: Path) -> None:
    await fill(path)
    change(path, "DROP TABLE seen")
    async with opened(path) as store:
        assert await store.load() == [BY_HAND]
        assert store.left_out == LeftOut(1, None)


async def test_it_is_seen_from_the_start_and_every_minute(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a hub has added is not left out because of a crash a moment later."""
    monkeypatch.setattr(sqlite, "ACTIVITY_INTERVAL", 3600.0)
    await fill(path)
    seen(path, 86400)
    async with opened(path) as store:
        await store.load()
        await store.put(OF_A_HUB)
        assert moment_in_copy(path) > time.time() - 60
    store = sqlite.SqliteStore(str(path), activity_interval=0.01, hub_routes_last=600.0)
    await store.open()
    await store.load()
    first = moment_in_copy(path)
    await until(lambda: moment_in_copy(path) > first)
    await store.close()


def moment_in_copy(path: Path) -> float:
    """Return when the file was last seen, as after a crash now."""
    copy = path.parent.with_name(f"crashed-{time.monotonic_ns()}")
    copy.mkdir()
    for each in path.parent.iterdir():
        (copy / each.name).write_bytes(each.read_bytes())
    with contextlib.closing(sqlite3.connect(copy / path.name)) as connection:
        return float(connection.execute("SELECT moment FROM seen").fetchone()[0])


async def test_a_named_file_keeps_a_hubs_routes(path: Path) -> None:
    await fill(path)
    seen(path, 86400)
    store = open_store(f"sqlite:{path}")
    await store.open()
    assert {each.key for each in await store.load()} == {"/lab", "/user/a"}
    await store.close()


async def test_an_earlier_release_can_read_it(path: Path) -> None:
    await fill(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)


# --- what it does without ---


def file_in_place(path: Path) -> None:
    path.parent.parent.mkdir()
    path.parent.write_text("")


def linked_folder(path: Path) -> None:
    path.parent.parent.mkdir()
    (path.parent.parent / "elsewhere").mkdir()
    path.parent.symlink_to("elsewhere")


def open_to_all(path: Path) -> None:
    path.parent.mkdir(parents=True, mode=0o700)
    path.write_text("")
    path.chmod(0o666)


def second_link(path: Path) -> None:
    path.parent.mkdir(parents=True, mode=0o700)
    (path.parent / "other").write_text("")
    (path.parent / "other").chmod(0o600)
    path.hardlink_to(path.parent / "other")


def journal_of_others(path: Path) -> None:
    path.parent.mkdir(parents=True, mode=0o700)
    journal = path.with_name(path.name + "-wal")
    journal.write_text("")
    journal.chmod(0o666)


def another_program(path: Path) -> None:
    path.parent.mkdir(parents=True, mode=0o700)
    change(path, "CREATE TABLE theirs (x)")
    path.chmod(0o600)


def no_database(path: Path) -> None:
    path.parent.mkdir(parents=True, mode=0o700)
    path.write_text("no database at all" * 100)
    path.chmod(0o600)


TROUBLE: list[tuple[Callable[[Path], None], str]] = [
    (file_in_place, "Not a directory"),
    (linked_folder, "Not a directory"),
    (open_to_all, "is open to other users"),
    (second_link, "has a second hard link"),
    (journal_of_others, "is open to other users"),
    (another_program, "is another program's database"),
    (no_database, "is not an SQLite database"),
]


@pytest.mark.parametrize(("trouble", "reason"), TROUBLE)
async def test_trouble_is_one_line_and_memory(
    trouble: Callable[[Path], None], reason: str, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """`check` says the same, and changes nothing."""
    trouble(path)
    before = sorted((each, each.lstat().st_mode) for each in path.parents[1].rglob("*"))
    expected = await asyncio.to_thread(try_store, f"sqlite:{path}", own=True)
    assert sorted((each, each.lstat().st_mode) for each in path.parents[1].rglob("*")) == before
    caplog.set_level(logging.WARNING)
    async with opened(path) as store:
        assert store.in_memory
        assert await store.load() == []
        await store.put(BY_HAND)
        assert await store.load() == [BY_HAND]
        assert store.write_obstacle is None
    (line,) = [record.getMessage() for record in caplog.records]
    assert [line] == expected
    assert reason in line
    assert INSTEAD in line


async def test_a_file_that_cannot_be_read_whole_is_not_seen(path: Path) -> None:
    """Repaired later, it must not look as if its routes had been served all the time."""
    await fill(path)
    seen(path, 86400)
    change(path, "INSERT INTO routes VALUES ('/z', 'no json', '{}', 1)")
    async with opened(path) as store:
        assert store.in_memory
    change(path, "DELETE FROM routes WHERE key = '/z'")
    assert await kept(path) == {"/lab"}


async def test_a_file_in_use_is_one_line_and_memory(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "LOCK_TIMEOUT", 0.2)
    await fill(path)
    with held(path):
        expected = await asyncio.to_thread(try_store, f"sqlite:{path}", own=True)
        assert "is in use by another process" in expected[0]
        async with opened(path) as store:
            assert store.in_memory
            assert await store.load() == []
    (line,) = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert "is in use by another process" in line
    assert INSTEAD in line
    assert await kept(path) == {"/lab", "/user/a"}


async def test_a_folder_that_others_could_enter_is_closed_to_them(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.mkdir(parents=True)
    path.parent.chmod(0o755)
    async with opened(path) as store:
        assert not store.in_memory
    assert mode(path.parent) == 0o700
    assert "was open to other users" in caplog.text
