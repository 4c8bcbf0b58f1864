"""Settling which table goes on when Redis has come back with another one, or none."""

import asyncio
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hubgate.errors import StoreError
from hubgate.store.redis.client import RedisClient
from hubgate.store.redis.handing_in import HandingIn
from hubgate.store.redis.held import Held
from hubgate.store.redis.history import (
    Meta,
    Point,
    continued,
    kept_up_to,
    lineage_of,
    lineage_text,
    next_history,
    winner,
)
from hubgate.store.redis.keys import (
    FORMAT,
    TableKeys,
    VersionedTable,
    gone_name,
    row_text,
)
from hubgate.store.redis.table import read_activity, read_gone, readable

log = logging.getLogger("hubgate.store")

# Seconds
POLL = 0.1
WINNER_LIMIT = 5.0

_SLICE = 1000


@dataclass(frozen=True, slots=True)
class Merged:
    """A table, when its routes were active, and whether something in it was not ours."""

    table: VersionedTable
    activity: dict[str, float]
    foreign: bool


class Settling:
    """Brings Redis and every hubgate to one table again; each of them runs the same steps."""

    def __init__(self, client: RedisClient, keys: TableKeys, seconds: float) -> None:
        self._client = client
        self._keys = keys
        self._seconds = seconds
        self._handing_in = HandingIn(client, keys)

    async def look(self) -> Meta:
        """Return what Redis says of the table now. Raises StoreError."""
        names = ("history", "began", "revision", "count", "lineage", "format", "since")
        async with self._client.call() as redis:
            pipe = redis.pipeline(transaction=True)
            pipe.hmget(self._keys.meta, names)
            pipe.hlen(self._keys.table)
            pipe.info("server")
            found, length, server = await pipe.execute()
        history, began, revision, count, lineage, format_, since = (
            (value or b"").decode() for value in found
        )
        if 0 < int(format_ or 0) < FORMAT:
            raise StoreError(
                f"store: the table was written by an unreleased hubgate (its format is {format_});"
                " give another ?prefix="
            )
        if int(format_ or 0) > FORMAT:
            raise StoreError(
                f"store: the table was written by a newer hubgate (its format is {format_}, this"
                f" one reads {FORMAT}); install that one, or give another ?prefix="
            )
        return Meta(
            history,
            began,
            server["run_id"],
            int(revision or 0),
            whole=int(count or 0) == length,
            lineage=lineage_of(lineage),
            format=int(format_ or 0),
            since=int(since or 0),
        )

    async def settle(self, held: Held) -> bool:
        """Return once Redis has a table to go on with; whether it must be loaded whole.

        Raises StoreError.
        """
        while True:
            meta = await self.look()
            if held.history and meta.continues(held.history, held.revision):
                return False
            begun = meta.history and meta.began == meta.run and meta.whole
            if begun and meta.history != held.history:
                if not held.history or await self._handing_in.hand_in(held, meta):
                    return True
                continue
            await self._decide(held, meta)

    # --- which table goes on -----------------------------------------------------------------

    async def _decide(self, held: Held, meta: Meta) -> None:
        """Claim what we hold, wait for the others' claims, and begin the next history."""
        own = "" if held.point is None else json.dumps([*_row(held.point), held.version])
        given_up: set[str] = set()
        waited_for, since = "", 0.0
        while True:
            passed, found = await self._client.script(
                "claim", [self._keys.claims], [meta.run, held.name, own]
            )
            now = await self.look()
            if (now.history, now.began, now.run) != (meta.history, meta.began, meta.run):
                return
            claimed, latest = _claims(found)
            claims = {name: point for name, point in claimed.items() if name not in given_up}
            if passed < self._seconds * 1000:
                await asyncio.sleep(POLL)
                continue
            best = winner(claims, now.point if now.whole or not claims else None)
            if best in ("", held.name):
                numbers = [p.number for p in (*claims.values(), now.point) if p is not None]
                number = max(numbers, default=0)
                await self._begin(held, now, number, takes=bool(best), latest=latest)
                return
            if best != waited_for:
                waited_for, since = best, time.monotonic()
            elif time.monotonic() > since + WINNER_LIMIT:
                given_up.add(best)  # it has gone again
            await asyncio.sleep(POLL)

    async def _begin(self, held: Held, meta: Meta, number: int, takes: bool, latest: int) -> None:
        """Begin a history with the table that is there, or (`takes`) with ours.

        Nothing in it has a version before `latest`, whatever Redis's clock says now.

        What is newer in the one that is there becomes part of ours: whoever wrote it may be gone.
        """
        history = next_history(number)
        if takes:
            parent, base, lineage = held.history, held.revision, held.lineage
            merged = await merge(self._client, self._keys, held, meta)
            revision = base + 1 if merged.foreign else base
            sizes = await self._upload(merged, history, revision)
        else:
            parent, base, lineage = meta.history, meta.revision, meta.lineage
            revision = base
        keys = self._keys
        begun = await self._client.script(
            "begin",
            [
                *(keys.meta, keys.table, keys.log, keys.activity, keys.claims, keys.gone),
                # No empty name: an ACL would have to allow it.
                *(keys.taken(history) if takes else ()),
            ],
            [
                *(meta.history, str(meta.revision) if meta.history else "", meta.run, FORMAT),
                *(history, revision, lineage_text(continued(lineage, parent, base, history))),
                *(latest, *(sizes if takes else ())),
            ],
        )
        if not begun:
            return
        if takes:
            text = "store: Redis gets our table (revision %d, routes: %d): it came back with less"
            log.warning(text, base, sizes[0])
        elif meta.history:
            log.info("store: goes on with the table that Redis has, at revision %d", base)
        else:
            log.info("store: a new table in Redis")

    async def _upload(self, merged: Merged, history: str, revision: int) -> tuple[int, int, int]:
        """Write a table to keys of its own; return how many members each of them has."""
        routes, versions = merged.table.routes, merged.table.versions
        rows = {key: row_text(revision, versions[key], each) for key, each in routes.items()}
        moments = {key: f"{at:.3f}" for key, at in merged.activity.items() if key in routes}
        gone = dict(merged.table.gone)
        table_name, activity_name, gone_name = self._keys.taken(history)
        await self._upload_members(table_name, rows)
        await self._upload_members(activity_name, moments)
        await self._upload_members(gone_name, gone, ranked=True)
        return len(rows), len(moments), len(gone)

    async def _upload_members(
        self, name: str, members: Mapping[str, Any], ranked: bool = False
    ) -> None:
        async with self._client.call() as redis:
            await redis.delete(name)
        rows = [*members.items()]
        for start in range(0, len(rows), _SLICE):
            part = dict(rows[start : start + _SLICE])
            async with self._client.call() as redis:
                await (redis.zadd(name, part) if ranked else redis.hset(name, mapping=part))
                await redis.expire(name, 60)


def _row(point: Point) -> list[Any]:
    return [point.number, point.revision, point.id]


def _claims(found: Sequence[bytes]) -> tuple[dict[str, Point], int]:
    """Return what each claims, and the latest version of all."""
    pairs = zip(found[::2], found[1::2], strict=True)
    rows = {n.decode(): json.loads(claim) for n, claim in pairs if not n.startswith(b"#")}
    points = {name: Point(*point) for name, (*point, _) in rows.items()}
    return points, max((version for *_, version in rows.values()), default=0)


async def merge(client: RedisClient, keys: TableKeys, held: Held, meta: Meta) -> Merged:
    """Return what we hold, with what is newer in Redis. Raises StoreError.

    Nobody may change that table meanwhile.
    """
    ours = held.table
    table = VersionedTable(dict(ours.routes), dict(ours.versions), dict(ours.gone))
    gone = await read_gone(client, keys)
    later = {name: at for name, at in gone.items() if at > table.gone.get(name, 0)}
    foreign = bool(later)
    if later:
        table.gone |= later
        for key in ours.routes:
            if later.get(gone_name(key), 0) > table.versions[key]:
                del table.routes[key], table.versions[key]
    kept: int | None = held.revision  # of the same history, all that it still has
    if meta.history != held.history:
        kept = kept_up_to(held.history, held.lineage, meta.lineage)
    async for row, route in readable(client, keys):
        key = route.key
        known = table.versions.get(key, 0) or table.gone.get(gone_name(key), 0)
        # What was there when we were at that revision, and is not here, was removed since.
        was_ours = key not in ours.routes and kept is not None and row.revision <= kept
        if row.version > known and not was_ours:
            table.routes[key], table.versions[key] = route, row.version
            foreign = True
    activity = dict(held.activity)
    for key, at in (await read_activity(client, keys)).items():
        activity[key] = max(at, activity.get(key, 0.0))
    return Merged(table, activity, foreign)
