"""Handing in what Redis has lost: acknowledged changes that the history which goes on lacks.

Several hubgates hand in parts of one lost history, and one may know less of it than another. So
each route, and each removal, keeps the version of the change that made it (`VersionedTable`): what
is handed in replaces what is earlier, and leaves alone what is later, in whatever order they come.

Changes are remembered up to a bound (`RecentChanges`): beyond it, whole tables are compared.
Removals are remembered up to a bound too (`GONE`): a route that was removed before looks like one
that was lost.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hubgate.errors import StoreError
from hubgate.model import Route
from hubgate.store.redis.client import RedisClient
from hubgate.store.redis.held import Held
from hubgate.store.redis.history import Meta, kept_up_to
from hubgate.store.redis.keys import GONE, TableKeys, gone_name, read_row
from hubgate.store.redis.table import members
from hubgate.store.redis.table_write import TableWrite

log = logging.getLogger("hubgate.store")

# Seconds
WRITING = 5.0

_SLICE = 1000

Change = tuple[Route | None, int]
"""What became of a key: its route, or None if it was removed; and the version of that."""


@dataclass
class _Lacking:
    """What a history may lack of ours, by key.

    It goes on with ours up to revision `kept` (-1 if with nothing). Unless `all_known`, changes are
    forgotten that came after that: whole tables have to be compared.
    """

    changes: dict[str, Change]
    kept: int
    all_known: bool


class HandingIn:
    """Makes the changes that did not get into the history that goes on, where still right."""

    def __init__(self, client: RedisClient, keys: TableKeys) -> None:
        self._client = client
        self._keys = keys

    async def hand_in(self, held: Held, meta: Meta) -> bool:
        """Hand in what we hold and `meta`'s history lacks; False if another one goes on meanwhile.

        Raises StoreError.
        """
        held.handed_in += 1
        lacking = _lacking(held, meta)
        if not lacking.all_known:
            log.warning("store: it has lost more changes than are kept here; comparing the tables")
            await self._compare(held, lacking)
        if lacking.changes and not await self._make(held, meta, lacking.changes):
            return False
        if not lacking.all_known:
            await self._remember(held.table.gone)
        return True

    async def _make(self, held: Held, meta: Meta, changes: Mapping[str, Change]) -> bool:
        answer = await self._write(held, meta, changes)
        if answer[0] == b"stale":
            return False
        if written := answer[3]:
            log.warning("store: handed in what it had lost: %d put or removed", written)
            if await self._forgot(changes):
                log.warning(
                    "store: it no longer knows all that was removed since then: of these, routes"
                    " may be back that were removed meanwhile"
                )
        return True

    async def _compare(self, held: Held, lacking: _Lacking) -> None:
        """Compare whole tables: find what we had removed, and leave out what is there already."""
        changes, table = lacking.changes, held.table
        async for name, value in members(self._client, self._keys.table):
            try:
                row, key = read_row(name, value), name.decode()
            except StoreError:
                continue  # whoever loads the table says so
            if key in table.routes:
                if key in changes and row.version >= changes[key][1]:
                    del changes[key]
            elif key not in changes:
                gone = table.gone.get(gone_name(key), 0)
                if gone > row.version:
                    changes[key] = (None, gone)
                elif row.revision <= lacking.kept:  # we had it, and forgot that it was removed
                    changes[key] = (None, held.version)

    async def _remember(self, gone: Mapping[str, int]) -> None:
        """Have Redis know what we know to be removed: others may still hand it in."""
        rows = [*gone.items()]
        for start in range(0, len(rows), _SLICE):
            async with self._client.call() as redis:
                await redis.zadd(self._keys.gone, dict(rows[start : start + _SLICE]), gt=True)

    async def _write(self, held: Held, meta: Meta, changes: Mapping[str, Change]) -> Any:
        change_id = f"{held.name}:{held.history}:{held.revision}:{meta.history}"
        put = [route for route, _ in changes.values() if route is not None]
        delete = [key for key, (route, _) in changes.items() if route is None]
        write = TableWrite(
            *(change_id, meta.history, held.name, put, delete),
            active={r.key: held.activity[r.key] for r in put if r.key in held.activity},
            versions={key: version for key, (_, version) in changes.items()},
        )
        return await write.make(self._client, self._keys, WRITING)

    async def _forgot(self, changes: Mapping[str, Change]) -> bool:
        """Return whether removals may be forgotten that came after something that was put."""
        async with self._client.call() as redis:
            known = await redis.zcard(self._keys.gone)
            oldest = await redis.zrange(self._keys.gone, 0, 0, withscores=True)
        if known < GONE or not oldest:
            return False
        return any(route and version < oldest[0][1] for route, version in changes.values())


def _lacking(held: Held, meta: Meta) -> _Lacking:
    kept, after = kept_up_to(held.history, held.lineage, meta.lineage), held.recent.after
    all_known = kept is not None and kept >= after
    changes: dict[str, Change] = {}
    if not all_known:
        versions = held.table.versions
        changes = {key: (route, versions[key]) for key, route in held.table.routes.items()}
    for entry in held.since(kept or 0):
        changes |= {each.key: (each, entry.version_of(each.key)) for each in entry.put}
        changes |= {key: (None, entry.version_of(key)) for key in entry.delete}
    return _Lacking(changes, -1 if kept is None else kept, all_known)
