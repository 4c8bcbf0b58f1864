"""Stores that one process owns have no changes but those they are told to make."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hubgate.errors import StoreError
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


def route(key: str, number: int = 0) -> Route:
    target = f"http://127.0.0.1:{number + 1}"
    return Route(key, target, {"target": target})


@pytest.mark.parametrize("make", STORES)
async def test_a_change_is_made_as_a_whole(
    make: Callable[[Path], RouteStore], tmp_path: Path
) -> None:
    store = make(tmp_path)
    await store.open()
    assert await store.load() == []
    await store.apply([route("/a"), route("/b"), route("/c")], ["/never"])
    written = await store.apply([route("/b", 1), route("/d")], ["/a", "/never"], {"/d": 1000.0})
    assert {each.key: each for each in await store.load()} == {
        each.key: each for each in (route("/b", 1), route("/c"), route("/d"))
    }
    assert (await store.apply((), ())).moment >= written.moment
    await store.close()


@pytest.mark.parametrize("make", STORES[1:])
async def test_a_change_and_its_activity_outlive_the_process(
    make: Callable[[Path], RouteStore], tmp_path: Path
) -> None:
    store = make(tmp_path)
    await store.open()
    written = await store.apply([route("/a"), route("/b")], [], {"/b": 1000.0})
    await store.close()
    store = make(tmp_path)
    await store.open()
    assert {each.key for each in await store.load()} == {"/a", "/b"}
    assert dict(store.last_activity()) == {"/a": written.moment, "/b": 1000.0}
    await store.close()


async def test_of_a_change_that_fails_nothing_is_stored(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "routes.db"))
    await store.open()
    await store.apply([route("/a")], ())
    unfit = Route("/c", "http://127.0.0.1:1", {"target": "http://127.0.0.1:1"})
    object.__setattr__(unfit, "key", None)  # the table refuses it after the others
    with pytest.raises(StoreError):
        await store.apply([route("/b"), unfit], ["/a"])
    assert [each.key for each in await store.load()] == ["/a"]
    await store.apply([route("/b")], ())
    assert len(await store.load()) == 2
    await store.close()
