"""Routes in a file: all that was acknowledged is there, whatever ends the process."""

import asyncio
import contextlib
import resource
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from hubgate.errors import StoreError, StoreUnavailableError
from hubgate.model import Route, RouteOptions
from hubgate.store import sqlite
from hubgate.store.sqlite import SqliteStore
from hubgate.tasks import spawn
from tests.control.waiting import until

TARGET = "http://127.0.0.1:9001"
OTHER = "http://127.0.0.1:9002"


def route(key: str, target: str = TARGET, **data: object) -> Route:
    return Route(key, target, {"target": target, **data})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "routes.db"


@contextlib.asynccontextmanager
async def opened(path: Path, activity_interval: float = 3600.0) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(str(path), activity_interval)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def contents(path: Path) -> dict[str, Route]:
    async with opened(path) as store:
        return {route.key: route for route in await store.load()}


async def activity(path: Path) -> dict[str, float]:
    async with opened(path) as store:
        await store.load()
        return dict(store.last_activity())


def as_after_a_crash(path: Path) -> Path:
    """Return a copy of the file as it is now, with whatever lies beside it."""
    copy = path.parent.with_name(f"crashed-{time.monotonic_ns()}")
    shutil.copytree(path.parent, copy)
    return copy / path.name


@contextlib.contextmanager
def no_file_grows_beyond(size: int) -> Iterator[None]:
    """Have the kernel refuse writes, as a failing or full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def journal_size(path: Path) -> int:
    return path.with_name(path.name + "-wal").stat().st_size


def take_away(path: Path) -> None:
    path.rename(path.with_suffix(".old"))


# --- routes ---


async def test_routes_are_put_replaced_and_deleted(path: Path) -> None:
    async with opened(path) as store:
        assert await store.load() == []
        await store.put(route("/a"))
        await store.put(route("/b"))
        await store.put(route("/a", OTHER, jupyterhub=True))
        await store.delete("/b")
        await store.delete("/never-there")
        assert await store.load() == [route("/a", OTHER, jupyterhub=True)]
    assert await contents(path) == {"/a": route("/a", OTHER, jupyterhub=True)}


async def test_a_route_comes_back_whole(path: Path) -> None:
    data = {"target": TARGET, "user": "é\ud800", "deep": [{"a": None}], "big": 2**80, "f": 1.0}
    options = RouteOptions(True, (("X-Team", "physics"),))
    whole = Route("hub.example.org/user/a", TARGET, data, options)
    async with opened(path) as store:
        await store.put(whole)
    found = (await contents(path))[whole.key]
    assert found == whole
    assert [*found.data] == [*data]
    assert isinstance(found.data["f"], float)


@pytest.mark.parametrize("key", ["/", "/'; DROP TABLE routes", "/a\0b", "/a%2Fb", "/é😀", "/ \n"])
async def test_any_key_is_kept_as_it_is(key: str, path: Path) -> None:
    async with opened(path) as store:
        await store.put(route("/a"))
        await store.put(route(key))
    assert set(await contents(path)) == {"/a", key}
    async with opened(path) as store:
        await store.delete(key)
    assert set(await contents(path)) == {"/a"}


async def test_a_thousand_routes(path: Path) -> None:
    async with opened(path) as store:
        await asyncio.gather(*(store.put(route(f"/user/{n}", name=f"u{n}")) for n in range(1000)))
    found = await contents(path)
    assert found == {f"/user/{n}": route(f"/user/{n}", name=f"u{n}") for n in range(1000)}


async def test_what_has_returned_is_there_after_a_crash(path: Path) -> None:
    async with opened(path) as store:
        for number in range(20):
            await store.put(route(f"/{number}"))
            if number % 2:
                await store.delete(f"/{number}")
            crashed = as_after_a_crash(path)
            assert set(await contents(crashed)) == {f"/{n}" for n in range(0, number + 1, 2)}


async def test_the_loop_runs_on_while_the_disk_works(path: Path) -> None:
    async with opened(path) as store:
        putting = spawn(store.put(route("/big", blob="x" * 20_000_000)), "put")
        turns = 0
        while not putting.done():
            await asyncio.sleep(0.001)
            turns += 1
        await putting
    # One turn starts it, one more sees it done: a store that blocks leaves no other.
    assert turns > 3


# --- trouble ---


async def test_a_disk_that_takes_no_more_is_one_line_and_passes(path: Path) -> None:
    async with opened(path) as store:
        await store.put(route("/kept"))
        with no_file_grows_beyond(journal_size(path)):
            for change in (store.put(route("/new")), store.delete("/kept")):
                with pytest.raises(StoreUnavailableError, match=r"^store: .*routes\.db cannot"):
                    await change
        assert await store.load() == [route("/kept")]
        assert store.write_obstacle == "store"
        await store.put(route("/later"))
        assert store.write_obstacle is None
    assert set(await contents(path)) == {"/kept", "/later"}


async def test_a_disk_that_takes_more_again_is_noticed_without_a_change(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "RETRY", 0.05)
    async with opened(path) as store:
        await store.load()
        await store.put(route("/kept"))
        with no_file_grows_beyond(journal_size(path)):
            with pytest.raises(StoreUnavailableError):
                await store.put(route("/new"))
            await asyncio.sleep(0.2)
            assert store.write_obstacle == "store"
        await until(lambda: store.write_obstacle is None)


@pytest.mark.parametrize("replaced", [False, True])
async def test_a_file_that_lost_its_name_takes_nothing_more(replaced: bool, path: Path) -> None:
    async with opened(path) as store:
        await store.put(route("/a"))
        take_away(path)
        if replaced:
            async with opened(path):
                pass
        for change in (store.put(route("/b")), store.delete("/a")):
            with pytest.raises(StoreError, match="removed or replaced"):
                await change


async def test_nothing_can_be_done_before_it_is_open(path: Path) -> None:
    store = SqliteStore(str(path))
    with pytest.raises(StoreError, match="is not open"):
        await store.load()
    await store.close()
    await store.close()


# --- activity ---


async def test_adding_counts_as_activity(path: Path) -> None:
    before = time.time()
    async with opened(path) as store:
        await store.put(route("/a"))
        first = time.time()
        await store.put(route("/b"))
        await store.put(route("/a", OTHER))
    found = await activity(path)
    assert before <= first <= found["/b"] <= found["/a"] <= time.time()


async def test_activity_is_kept_at_the_end_and_never_goes_back(path: Path) -> None:
    later = time.time() + 1000
    async with opened(path) as store:
        await store.put(route("/a"))
        await store.put(route("/b"))
        await store.put(route("/gone"))
        store.note_activity({"/a": later, "/gone": later, "/unknown": later, "/b": 1.0})
        await store.delete("/gone")
    found = await activity(path)
    assert set(found) == {"/a", "/b"}
    assert found["/a"] == later
    assert found["/b"] > 1.0
    assert set(await contents(path)) == {"/a", "/b"}


async def test_activity_in_the_future_can_be_corrected(path: Path) -> None:
    async with opened(path) as store:
        await store.put(route("/a"))
        store.note_activity({"/a": time.time() + 86400})
    async with opened(path) as store:
        now = time.time()
        store.note_activity({"/a": now})
    assert (await activity(path))["/a"] == now


async def test_activity_is_kept_every_so_often_for_a_crash(path: Path) -> None:
    first, second = time.time() + 1000, time.time() + 2000
    async with opened(path, activity_interval=0.05) as store:
        await store.put(route("/a"))
        for moment in (first, second):
            store.note_activity({"/a": moment})
            size = journal_size(path)
            await until(lambda size=size: journal_size(path) > size)  # type: ignore[misc]
            assert await activity(as_after_a_crash(path)) == {"/a": moment}


async def test_activity_that_cannot_be_kept_is_kept_later(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    moment = time.time() + 1000
    async with opened(path, activity_interval=0.05) as store:
        await store.put(route("/a"))
        with no_file_grows_beyond(journal_size(path)):
            store.note_activity({"/a": moment})
            await until(lambda: "is not saved" in caplog.text)
    assert await activity(path) == {"/a": moment}
