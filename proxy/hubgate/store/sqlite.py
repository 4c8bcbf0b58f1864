"""Routes in an SQLite file, which survive a crash and a power cut."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import TypeVar

from hubgate.current_folder import anchored
from hubgate.errors import StoreError, StoreInUseError
from hubgate.model import HUBS_MARK, Route
from hubgate.store.base import NO_MOMENTS, Expected, OwnedStore, Written
from hubgate.store.records import decode, encode
from hubgate.store.sqlite_errors import damaged, store_error
from hubgate.store.sqlite_file import exposure, file_identity, open_file
from hubgate.store.unseen import LeftOut, note_seen, seconds_unseen
from hubgate.tasks import spawn

log = logging.getLogger("hubgate.store")

# Seconds: a successor waits for a hubgate that is just ending to release the file.
LOCK_TIMEOUT = 5.0
BETWEEN_TRIES = 0.1
ACTIVITY_INTERVAL = 60.0
# After a write that failed, until one succeeds.
RETRY = 5.0

T = TypeVar("T")


class SQLiteState(Enum):
    """The state of a store."""

    NEW = "new"
    WAITING = "waiting for another process"
    OPEN = "open"
    CLOSED = "closed"


class SqliteStore(OwnedStore):
    """Keeps routes in the file at `path`, which is locked from `open()` to `close()`.

    SQLite runs in its own thread: a disk may be slow. A change is on the disk when the call
    returns; the last activity of routes is written once a minute, and that the file is in use. So
    after a crash routes look idle for at most a minute longer than they were, and to an idle
    culler a restart does not look like activity on every route.

    A file that nobody has used for more than `hub_routes_last` seconds is loaded without routes of
    a hub, which are also removed from it; None keeps them.
    """

    def __init__(
        self,
        path: str,
        activity_interval: float = ACTIVITY_INTERVAL,
        hub_routes_last: float | None = None,
    ) -> None:
        self.left_out = LeftOut()
        self._hub_routes_last = hub_routes_last
        # Keys that were left out and are still in the file; only the thread uses it.
        self._unseen: set[str] = set()
        self._loaded = False
        self._failing = asyncio.Event()
        self._path = Path(anchored(path))
        self._activity_interval = activity_interval
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="route store")
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._state = SQLiteState.NEW
        self._known_activity: dict[str, float] = {}
        self._new_activity: dict[str, float] = {}
        self._activity_writer: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<SqliteStore {self._path} {self._state.value}>"

    async def open(self) -> None:
        """Create the file if it is missing, and claim it.

        Waits at most five seconds for another process to release it, then raises
        StoreInUseError. Raises StoreError for a file that is damaged, not ours, or not
        writable. Logs a warning if other users can change it.
        """
        deadline = time.monotonic() + LOCK_TIMEOUT
        exposed = await self._run(lambda: exposure(self._path))
        while self._state is not SQLiteState.OPEN:
            try:
                await self._run(self._open)
                self._state = SQLiteState.OPEN
            except StoreInUseError:
                if time.monotonic() > deadline:
                    raise
                if self._state is SQLiteState.NEW:
                    log.info("waiting for another process to release %s", self._path)
                self._state = SQLiteState.WAITING
                await asyncio.sleep(BETWEEN_TRIES)
        # SQLite has applied and removed a journal that it found.
        if line := exposed or await self._run(lambda: exposure(self._path)):
            log.warning("%s", line)
        self._activity_writer = spawn(self._keep_on(), "activity of routes")

    @property
    def write_obstacle(self) -> str | None:
        """The word `store` after a write that failed, as on a full disk, until one succeeds."""
        return "store" if self._failing.is_set() else None

    async def load(self) -> list[Route]:
        """Return every stored route but a hub's that were unseen for too long."""
        routes, self._known_activity = await self._run(self._load)
        if self._hub_routes_last is not None:
            # Before a hub adds its routes again: they must not look unseen after a crash.
            await self._keep_activity()
        return routes

    async def apply(
        self,
        put: Sequence[Route],
        delete: Sequence[str],
        active: Mapping[str, float] = NO_MOMENTS,
        expected: Expected | None = None,
    ) -> Written:
        """Delete and put these in one transaction, on the disk when this returns."""
        return Written(await self._write(lambda: self._apply(put, delete, active)))

    def last_activity(self) -> Mapping[str, float]:
        """Return when each route was last active, as of `load()`; adding it counts.

        It is returned only once.
        """
        known, self._known_activity = self._known_activity, {}
        return known

    def note_activity(self, activity: Mapping[str, float]) -> None:
        """Write it in the next round, at most a minute from now."""
        self._new_activity.update(activity)

    async def close(self, leave: bool = True) -> None:
        """Write the last activity and release the file."""
        if self._state is SQLiteState.CLOSED:
            return
        self._state = SQLiteState.CLOSED
        if self._activity_writer is not None:
            self._activity_writer.cancel()
            await self._keep_activity()
        await self._run(self._close)
        self._thread.shutdown(wait=False)

    async def _keep_on(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._failing.wait(), self._activity_interval)
            if self._failing.is_set():
                await asyncio.sleep(RETRY)
            await self._keep_activity()

    async def _keep_activity(self) -> None:
        """Write new activity; what cannot be written is kept for the next time."""
        activity, self._new_activity = self._new_activity, {}
        failed_before = self._failing.is_set()
        try:
            await self._write(lambda: self._write_activity(activity))
        except StoreError as error:
            self._new_activity = {**activity, **self._new_activity}
            if not failed_before:
                log.warning("the last activity of routes is not saved: %s", error)

    async def _write(self, work: Callable[[], T]) -> T:
        """Run `work`, and note whether changes can be stored."""
        try:
            done = await self._run(work)
        except StoreError:
            self._failing.set()
            raise
        self._failing.clear()
        return done

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except sqlite3.Error as error:
            raise store_error(self._path, error) from error

    # --- in the thread ---

    @property
    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreError(f"store: {self._path} is not open")
        return self._connection

    def _open(self) -> None:
        self._connection = open_file(self._path)
        self._identity = file_identity(self._path)

    def _load(self) -> tuple[list[Route], dict[str, float]]:
        unseen = self._left_out_since()
        query = "SELECT key, data, options, CAST(last_activity AS REAL) FROM routes"
        routes, activity = [], {}
        # Row by row: reading all rows at once would leave memory too fragmented to reuse.
        for key, data, options, moment in self._opened.execute(query):
            route = self._decoded(key, data, options)
            if unseen and HUBS_MARK in route.data:
                self._unseen.add(key)
                continue
            routes.append(route)
            activity[key] = moment
        self.left_out = LeftOut(len(self._unseen), unseen.seconds if unseen else None)
        self._loaded = True
        return routes, activity

    def _left_out_since(self) -> LeftOut | None:
        """Return for how long the file was unseen if that is too long for a hub's routes."""
        if self._hub_routes_last is None:
            return None
        seconds = seconds_unseen(self._opened, time.time())
        recent = seconds is not None and seconds <= self._hub_routes_last
        return None if recent else LeftOut(seconds=seconds)

    def _decoded(self, key: str, data: str, options: str) -> Route:
        try:
            return decode(key, data, options)
        except ValueError as error:
            raise damaged(self._path, f"route {key!r}: {error}") from None

    def _apply(
        self, put: Sequence[Route], delete: Sequence[str], active: Mapping[str, float]
    ) -> float:
        moment = time.time()
        rows = ((each.key, *encode(each), active.get(each.key, moment)) for each in put)
        self._check_place()
        # Committed at its end, with one sync for all of it, or undone.
        with self._opened as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("DELETE FROM routes WHERE key = ?", ((key,) for key in delete))
            connection.executemany("REPLACE INTO routes VALUES (?, ?, ?, ?)", rows)
        self._unseen.difference_update(route.key for route in put)
        return moment

    def _write_activity(self, activity: dict[str, float]) -> None:
        self._check_place()
        # What is there may be in the future, from a clock that was ahead: it does not count.
        latest = "max(last_activity * (last_activity <= ?), ?)"
        update, now = f"UPDATE routes SET last_activity = {latest} WHERE key = ?", time.time()
        with self._opened as connection:
            connection.execute("BEGIN")
            connection.executemany(update, [(now, at, key) for key, at in activity.items()])
            remove = "DELETE FROM routes WHERE key = ?"
            connection.executemany(remove, [(key,) for key in self._unseen])
            if self._loaded:  # else nobody serves what is in it
                note_seen(connection, now)
        self._unseen.clear()

    def _check_place(self) -> None:
        """Refuse to write to a file that no longer has its name: a restart would not find it."""
        if file_identity(self._path) != self._identity:
            raise StoreError(
                f"store: {self._path} was removed or replaced under the running hubgate; restart it"
            )

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
