"""Handing in what Redis has lost: acknowledged changes that the history which goes on lacks.

Several hubgates hand in parts of one lost history, and one may know less of it than another. So
each route, and each removal, keeps the version of the change that made it (`VersionedTable`): what
is handed in replaces what is earlier, and leaves alone what is later, in whatever order they come.

Changes are remembered up to a bound (`RecentChanges`): beyond it, whole tables are compared.
Removals are remembered up to a bound too (`GONE`): a route that was removed before looks like one
that was lost.
"""

import logging
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from hubgate.errors import StoreError
from hubgate.model import Route
from hubgate.store.redis.client import RedisClient
from hubgate.store.redis.held import Held
from hubgate.store.redis.history import Meta, Point, kept_up_to
from hubgate.store.redis.keys import GONE, TableKeys, gone_name, read_row
from hubgate.store.redis.table import members, read_gone
from hubgate.store.redis.table_write import TableWrite

log = logging.getLogger("hubgate.store")

# Seconds
WRITING = 5.0

# Changes in one call: Redis does nothing else meanwhile.
_PART = 10_000

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
        self._made: tuple[Point | None, str] = None, ""

    async def hand_in(self, held: Held, meta: Meta) -> bool:
        """Hand in what we hold and `meta`'s history lacks; False if another one goes on meanwhile.

        Raises StoreError.
        """
        if self._made == (held.point, meta.history):
            return True  # it is about to be loaded
        held.handed_in += 1
        lacking = _lacking(held, meta)
        gone: dict[str, int] = {}
        if not lacking.all_known:
            log.warning("store: it has lost more changes than are kept here; comparing the tables")
            there = await self._compare(held, lacking)
            removed = {gone_name(key) for key, (route, _) in lacking.changes.items() if not route}
            gone = await self._unknown(held.table.gone, there | removed)
        written = await self._write_all(held, meta, lacking.changes, gone)
        if gone and written is not None:
            # Somebody may have handed one of these in since we looked; from now on, nobody can.
            late = _Lacking({}, lacking.kept, all_known=True)
            await self._compare(held, late)
            more = await self._write_all(held, meta, late.changes, {})
            written = None if more is None else written + more
        if written is None:
            return False
        self._made = (held.point, meta.history)
        if written:
            await self._report(lacking.changes, written)
        return True

    async def _write_all(
        self, held: Held, meta: Meta, changes: Mapping[str, Change], gone: Mapping[str, int]
    ) -> int | None:
        """Write these in parts; return how many were news, None if another history goes on."""
        rows, names, written = [*changes.items()], [*gone.items()], 0
        for start in range(0, max(len(rows), len(names)), _PART):
            part = slice(start, start + _PART)
            answer = await self._write(held, meta, dict(rows[part]), dict(names[part]))
            if answer[0] == b"stale":
                return None
            written += answer[3]
        return written

    async def _report(self, changes: Mapping[str, Change], written: int) -> None:
        log.warning("store: handed in what it had lost: %d put or removed", written)
        if await self._forgot(changes):
            log.warning(
                "store: it no longer knows all that was removed since then: of these, routes may be"
                " back that were removed meanwhile"
            )

    async def _compare(self, held: Held, lacking: _Lacking) -> set[str]:
        """Compare whole tables: find what we had removed, and leave out what is there already.

        Returns the `gone_name` of each key that we do not have and that is rightly there.
        """
        changes, table = lacking.changes, held.table
        there: set[str] = set()
        async for name, value in members(self._client, self._keys.table):
            try:
                row, key = read_row(name, value), name.decode()
            except StoreError:
                continue  # whoever loads the table says so
            if key in table.routes:
                if key in changes and row.version >= changes[key][1]:
                    del changes[key]
            elif key not in changes:
                gone = table.gone.get(name_of := gone_name(key), 0)
                if gone > row.version:
                    changes[key] = (None, gone)
                elif row.revision <= lacking.kept:  # we had it, and forgot that it was removed
                    changes[key] = (None, held.version)
                else:
                    there.add(name_of)
        return there

    async def _unknown(self, gone: Mapping[str, int], told: Collection[str]) -> dict[str, int]:
        """Return what Redis does not know to be removed: others may still hand it in.

        Without what it is `told` anyway, or knows better.
        """
        known = await read_gone(self._client, self._keys)
        more = {name: at for name, at in gone.items() if at > known.get(name, 0)}
        return {name: at for name, at in more.items() if name not in told}

    async def _write(
        self,
        held: Held,
        meta: Meta,
        changes: Mapping[str, Change],
        gone: Mapping[str, int],
    ) -> Any:
        put = [route for route, _ in changes.values() if route is not None]
        delete = [key for key, (route, _) in changes.items() if route is None]
        write = TableWrite(
            *(uuid.uuid4().hex, meta.history, held.name, put, delete),
            active={r.key: held.activity[r.key] for r in put if r.key in held.activity},
            versions={key: version for key, (_, version) in changes.items()},
            gone=gone,
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
