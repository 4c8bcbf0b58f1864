"""A table in memory that several stores share, each with a service of its own."""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence

from hubgate.errors import StoreError, TableAheadError
from hubgate.model import Route
from hubgate.store.base import NO_MOMENTS, Expected, Point, StoreChange, Written


class SharedTable:
    """The routes, and the log of all changes; a revision is a place in it."""

    def __init__(self) -> None:
        self.routes: dict[str, Route] = {}
        self.log: list[StoreChange] = []
        self.grown = asyncio.Condition()

    def is_ahead(self, expected: Expected, keys: Sequence[str]) -> bool:
        """Return whether the table, or a route with one of these keys, has changed since."""
        if not expected.whole and not self.routes.keys() >= set(expected.there):
            return True
        since = self.log[expected.revision :]
        if expected.whole or any(change.whole for change in since):
            return bool(since)
        put = {route.key for change in since for route in change.put}
        return not put.union(*(change.delete for change in since)).isdisjoint(keys)

    async def write(self, put: tuple[Route, ...], delete: tuple[str, ...]) -> int:
        """Make a change; return its revision."""
        for key in delete:
            self.routes.pop(key, None)
        self.routes |= {route.key: route for route in put}
        self.log.append(StoreChange(len(self.log) + 1, put, delete))
        revision = len(self.log)
        async with self.grown:
            self.grown.notify_all()
        return revision

    async def tell(self, change: StoreChange) -> None:
        """Add to the log what is no change of the routes."""
        self.log.append(change)
        async with self.grown:
            self.grown.notify_all()


class SharedStore:
    """One service's way to the table, with gates where a network would take its time.

    `sent` shut holds writes up before they are in the table, `answered` after that, and
    `delivered` what others changed. `losing` an answer, a write fails though it is done.
    """

    shared = True
    members = None

    def __init__(self, table: SharedTable) -> None:
        self.table = table
        self.closed = self.losing = False
        self.failures: list[Exception] = []
        self.loading: list[StoreError] = []
        self.loads = 0
        self.sent, self.answered, self.delivered = gates = [asyncio.Event() for _ in range(3)]
        for gate in gates:
            gate.set()
        self.reached = asyncio.Event()
        self.following = False
        self.acknowledged: list[Point] = []
        self._at = 0

    @property
    def point(self) -> Point:
        """How far the log was read; there is one history."""
        return "1-shared", self._at

    @property
    def write_obstacle(self) -> str | None:
        """None: it always takes changes."""
        return None

    def check_writable(self) -> None:
        """It always takes changes."""

    def is_sure(self, key: str) -> bool:
        """True: it is never lost."""
        return True

    def hand_over(self) -> str:
        """Return nothing: it cannot be lost."""
        return ""

    def take_over(self, text: str, routes: Sequence[Route], activity: Mapping[str, float]) -> None:
        """Ignore what was handed over."""

    async def open(self) -> None:
        """Nothing to connect to."""

    async def load(self) -> list[Route]:
        """Return all there is; changes are told from here on."""
        if self.loading:
            raise self.loading.pop()
        self.loads += 1
        self._at = len(self.table.log)
        return list(self.table.routes.values())

    async def apply(
        self,
        put: Sequence[Route],
        delete: Sequence[str],
        active: Mapping[str, float] = NO_MOMENTS,
        expected: Expected | None = None,
    ) -> Written:
        """Write, and answer when the gates let it."""
        self.reached.set()
        await self.sent.wait()
        if expected is not None and self.table.is_ahead(expected, [*delete, *(r.key for r in put)]):
            raise TableAheadError("it has changed")
        known = [self.table.routes.get(route.key) == route for route in put]
        known += [key not in self.table.routes for key in delete]
        if all(known):
            return Written(time.time(), len(self.table.log), changed=False)
        revision = await self.table.write(tuple(put), tuple(delete))
        await self.answered.wait()
        if self.losing:
            raise StoreError("the answer is lost")
        return Written(time.time(), revision)

    async def changes(self) -> AsyncGenerator[StoreChange, None]:
        """Yield the log from the latest load on."""
        self.following = True
        try:
            while True:
                if self.failures:
                    raise self.failures.pop()
                if self._at < len(self.table.log):
                    await self.delivered.wait()
                    self._at += 1
                    yield self.table.log[self._at - 1]
                    continue
                async with self.table.grown:
                    await self.table.grown.wait_for(self._has_news)
        finally:
            self.following = False

    def _has_news(self) -> bool:
        return bool(self.failures) or self._at < len(self.table.log)

    async def skip(self) -> None:
        """Lose sight of what is in the log by now, as after a lost connection."""
        self._at = len(self.table.log)
        self.table.log.append(StoreChange(len(self.table.log) + 1, whole=True))
        await self.wake()

    async def fail(self, *errors: Exception) -> None:
        """Have following fail, so many times."""
        self.failures += errors
        await self.wake()

    async def wake(self) -> None:
        """Have the log looked at again."""
        async with self.table.grown:
            self.table.grown.notify_all()

    def last_activity(self) -> Mapping[str, float]:
        """Nothing is known."""
        return {}

    def note_activity(self, activity: Mapping[str, float]) -> None:
        """Nothing to keep it for."""

    async def served(self, written: Written) -> tuple[str, ...]:
        """Nobody is waited for."""
        return ()

    def serves(self, point: Point) -> None:
        """Note it."""
        self.acknowledged.append(point)

    async def close(self, leave: bool = True) -> None:
        """Note it; nobody may still follow."""
        assert not self.following
        self.closed = True
