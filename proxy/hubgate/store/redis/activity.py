"""When routes were last active, on any replica: written in batches, and told to the others."""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from hubgate.errors import StoreError
from hubgate.store.base import StoreChange
from hubgate.store.redis.client import RedisClient
from hubgate.store.redis.held import Held
from hubgate.store.redis.keys import TableKeys, VersionedTable
from hubgate.store.redis.table import read_activity, told_up_to

log = logging.getLogger("hubgate.store")

INTERVAL = 5.0
"""Seconds between two batches."""

_SLICE = 1000
_PRECISION = 0.001  # seconds, of what is written


class Activity:
    """What is known of it goes into `held`; what others have not been told of is kept here."""

    def __init__(self, client: RedisClient, keys: TableKeys, held: Held) -> None:
        self._client = client
        self._keys = keys
        self._held = held
        self._loaded: dict[str, float] = {}
        self._untold: dict[str, float] = {}
        self.read_up_to = "0-0"

    def __repr__(self) -> str:
        return f"<Activity, {len(self._untold)} to tell>"

    async def load(self) -> tuple[str, dict[str, float]]:
        """Return where the stream of it ends, and what is known up to there. Raises StoreError."""
        end = await told_up_to(self._client, self._keys)
        return end, await read_activity(self._client, self._keys)

    def begin(self, end: str, known: dict[str, float], table: VersionedTable, now: float) -> None:
        """Take what was loaded together with `table`; `now` is by Redis's clock, in seconds.

        In older data there may be less than we know; what is still to be told is in none.
        """
        later = {
            key: at
            for key, at in self._held.activity.items()
            # What is ahead of it, by a clock that was, must not last.
            if known.get(key, 0.0) + _PRECISION < at <= now and key in table.routes
        }
        self._untold.update(later)
        known |= later
        self._held.activity = dict(known)
        self._loaded, self.read_up_to = known, end

    def take_loaded(self) -> Mapping[str, float]:
        """Return what was loaded, in seconds since the epoch; once."""
        known, self._loaded = self._loaded, {}
        return known

    async def load_again(self) -> Mapping[str, float]:
        """Return all that is known: the stream may have gone on without us. Raises StoreError."""
        self.read_up_to, known = await self.load()
        self._held.note(known)
        return known

    def note(self, activity: Mapping[str, float]) -> None:
        """Remember it, and tell the others in the next batch."""
        for key, at in activity.items():
            self._untold[key] = max(at, self._untold.get(key, at))
        self._held.note(activity)

    def hear(self, at: bytes, fields: Mapping[bytes, bytes]) -> StoreChange | None:
        """Return what an entry of the stream tells; None if it is ours."""
        self.read_up_to = at.decode()
        if fields.get(b"w", b"").decode() == self._held.name:
            return None
        told: dict[str, float] = json.loads(fields[b"a"])
        self._held.note(told)
        return StoreChange(0, active=told)

    async def write_on(self, may_write: Callable[[], bool]) -> None:
        """Write a batch every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            if may_write():
                try:
                    await self.write()
                except StoreError as error:
                    log.debug("the last activity of routes is not saved: %s", error)

    async def write(self) -> None:
        """Write what the others have not been told. Raises StoreError; then it is kept."""
        untold, self._untold = self._untold, {}
        rows, part = [*untold.items()], []
        try:
            while rows:
                part, rows = rows[:_SLICE], rows[_SLICE:]
                flat: list[Any] = [value for key, at in part for value in (key, f"{at:.3f}")]
                keys = [self._keys.table, self._keys.activity, self._keys.active]
                await self._client.script("active", keys, [self._held.name, *flat])
        except BaseException:  # cancelled, too
            self._untold = {**dict(part + rows), **self._untold}
            raise
