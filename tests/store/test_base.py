"""Stores that one process owns have no changes but those they are told to make."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hubgate.model import Route
from hubgate.store.base import RouteStore
from hubgate.store.memory import MemoryStore
from hubgate.store.own_file import OwnFileStore
from hubgate.store.recovery import RecoveryStore
from hubgate.store.sqlite import SqliteStore

STORES: list[Callable[[Path], RouteStore]] = [
    lambda _: MemoryStore(),
    lambda folder: RecoveryStore(folder / "routes"),
    lambda folder: SqliteStore(str(folder / "routes.db")),
    lambda folder: OwnFileStore(folder / "state" / "routes.db"),
]


@pytest.mark.parametrize("make", STORES)
async def test_nobody_else_changes_it(make: Callable[[Path], RouteStore], tmp_path: Path) -> None:
    store = make(tmp_path)
    await store.open()
    await store.load()
    assert not store.shared
    assert store.write_obstacle is None
    written = await store.put(Route("/a", "http://127.0.0.1:1", {"target": "http://127.0.0.1:1"}))
    deleted = await store.delete("/a")
    assert written.revision == deleted.revision == 0
    assert written.moment <= deleted.moment
    assert [change async for change in store.changes()] == []
    await store.close()
