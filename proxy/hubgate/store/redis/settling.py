"""Settling which table goes on when Redis has come back with another one, or none."""

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hubgate.errors import StoreError
from hubgate.model import Route
from hubgate.store.base import NO_MOMENTS
from hubgate.store.redis.client import RedisClient
from hubgate.store.redis.history import (
    Meta,
    Point,
    Step,
    continued,
    kept_up_to,
    lineage_of,
    lineage_text,
    next_history,
    point_of,
    winner,
)
from hubgate.store.redis.keys import (
    ENTRY_ROUTES,
    FORMAT,
    LOG_ENTRIES,
    LogEntry,
    TableKeys,
    patched,
    read_value,
    route_text,
)

log = logging.getLogger("hubgate.store")

# Seconds
POLL = 0.1
WINNER_LIMIT = 5.0

_SLICE = 1000
_REMEMBERED = 20_000


@dataclass
class Held:
    """What this hubgate holds of the table: all up to `revision` of `history`, in its order.

    `own` are our changes that Redis has acknowledged and that we have not read in its log yet;
    `recent` is what came last, for a Redis that has lost it.
    """

    name: str
    history: str = ""
    revision: int = 0
    table: dict[str, Route] = field(default_factory=dict, repr=False)
    lineage: tuple[Step, ...] = ()
    own: dict[int, LogEntry] = field(default_factory=dict, repr=False)
    recent: deque[LogEntry] = field(default_factory=lambda: deque(maxlen=_REMEMBERED), repr=False)

    @property
    def point(self) -> Point | None:
        """Where we stand; None before anything was read."""
        return point_of(self.history, self.revision) if self.history else None

    def take(self, entry: LogEntry) -> None:
        """Apply the next entry of the log."""
        patched(self.table, entry)
        self.revision = entry.revision
        self.recent.append(entry)
        self.own.pop(entry.revision, None)

    def begin(self, meta: Meta, revision: int, table: dict[str, Route]) -> None:
        """Hold a table that was loaded whole."""
        if meta.history != self.history:
            self.own.clear()
            self.recent.clear()
        self.history, self.lineage = meta.history, meta.lineage
        self.revision, self.table = revision, table
        self.own = {at: entry for at, entry in self.own.items() if at > revision}

    def since(self, revision: int) -> list[LogEntry]:
        """Return what came after a revision, as far as it is remembered, in its order."""
        later = {entry.revision: entry for entry in self.recent if entry.revision > revision}
        later |= {at: entry for at, entry in self.own.items() if at > revision}
        return [later[at] for at in sorted(later)]


class Settling:
    """Brings Redis and every hubgate to one table again; each of them runs the same steps."""

    def __init__(self, client: RedisClient, keys: TableKeys, seconds: float) -> None:
        self._client = client
        self._keys = keys
        self._seconds = seconds

    async def look(self) -> Meta:
        """Return what Redis says of the table now. Raises StoreError."""
        names = ("history", "began", "revision", "count", "lineage", "format")
        async with self._client.call() as redis:
            pipe = redis.pipeline(transaction=True)
            pipe.hmget(self._keys.meta, names)
            pipe.hlen(self._keys.table)
            pipe.info("server")
            found, length, server = await pipe.execute()
        history, began, revision, count, lineage, format_ = (
            (value or b"").decode() for value in found
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
            newer = held.point is None or (
                meta.point is not None and meta.point.number > held.point.number
            )
            if begun and newer:
                if held.history:
                    await self._hand_in(held, meta)
                return True
            await self._decide(held, meta)

    # --- which table goes on -----------------------------------------------------------------

    async def _decide(self, held: Held, meta: Meta) -> None:
        """Claim what we hold, wait for the others' claims, and begin the next history."""
        own = "" if held.point is None else json.dumps(_row(held.point))
        given_up: set[str] = set()
        waited_for, since = "", 0.0
        while True:
            passed, found = await self._client.script(
                "claim", [self._keys.claims], [meta.run, held.name, own]
            )
            now = await self.look()
            if (now.history, now.began, now.run) != (meta.history, meta.began, meta.run):
                return
            claims = {name: point for name, point in _claims(found).items() if name not in given_up}
            if passed < self._seconds * 1000:
                await asyncio.sleep(POLL)
                continue
            best = winner(claims, now.point if now.whole or not claims else None)
            if best in ("", held.name):
                numbers = [p.number for p in (*claims.values(), now.point) if p is not None]
                await self._begin(held, now, max(numbers, default=0), takes=bool(best))
                return
            if best != waited_for:
                waited_for, since = best, time.monotonic()
            elif time.monotonic() > since + WINNER_LIMIT:
                given_up.add(best)  # it has gone again
            await asyncio.sleep(POLL)

    async def _begin(self, held: Held, meta: Meta, number: int, takes: bool) -> None:
        """Begin a history with the table that is there, or (`takes`) with ours."""
        history = next_history(number)
        if takes:
            parent, base, lineage = held.history, held.revision, held.lineage
            await self._upload(held.table.values(), self._keys.taken(history), base)
        else:
            parent, base, lineage = meta.history, meta.revision, meta.lineage
        keys = self._keys
        begun = await self._client.script(
            "begin",
            [
                *(keys.meta, keys.table, keys.log, keys.activity, keys.claims),
                # No empty name: an ACL would have to allow it.
                *([keys.taken(history)] if takes else []),
            ],
            [
                *(meta.history, str(meta.revision) if meta.history else "", meta.run, FORMAT),
                *(history, base, lineage_text(continued(lineage, parent, base, history))),
            ],
        )
        if not begun:
            return
        if takes:
            text = "store: Redis gets our table, %d routes at revision %d: it came back with less"
            log.warning(text, len(held.table), base)
        elif meta.history:
            log.info("store: goes on with the table that Redis has, at revision %d", base)
        else:
            log.info("store: a new table in Redis")

    async def _upload(self, routes: Iterable[Route], name: str, revision: int) -> None:
        rows = [(route.key, f"{revision}\n{route_text(route)}") for route in routes]
        async with self._client.call() as redis:
            await redis.delete(name)
        for start in range(0, len(rows), _SLICE):
            async with self._client.call() as redis:
                await redis.hset(name, mapping=dict(rows[start : start + _SLICE]))
                await redis.expire(name, 60)

    # --- what Redis has lost -----------------------------------------------------------------

    async def _hand_in(self, held: Held, meta: Meta) -> None:
        """Make the changes that did not get into the history that goes on, where still right."""
        limit = kept_up_to(held.history, held.lineage, meta.lineage)
        base = limit if limit is not None else meta.lineage[-1].base
        latest: dict[str, Route | None] = {}
        for entry in held.since(limit or 0):
            latest |= {route.key: route for route in entry.put}
            latest |= dict.fromkeys(entry.delete)
        while latest:
            put, delete = await self._untouched(latest, base)
            answer = await self._client.script(
                "change",
                change_keys(
                    self._keys, f"{held.name}:{held.history}:{held.revision}:{meta.history}"
                ),
                change_args(meta.history, 0, meta.revision, held.name, put, delete),
            )
            if answer[0] == b"ok":
                log.warning(
                    "store: handed in what it had lost: %d put, %d removed", len(put), len(delete)
                )
                return
            if answer[0] == b"stale":
                return
            meta = await self.look()

    async def _untouched(
        self, latest: dict[str, Route | None], base: int
    ) -> tuple[list[Route], list[str]]:
        """Return what of `latest` nobody has changed after revision `base`."""
        touched = set()
        names = [*latest]
        async with self._client.call(2) as redis:
            for _, fields in await redis.xrange(self._keys.log):
                touched |= {field[1:].decode() for field in fields if field[:1] in (b"p", b"d")}
            values = await redis.hmget(self._keys.table, names)
        for name, value in zip(names, values, strict=True):
            if value is not None and read_value(name.encode(), value)[0] > base:
                touched.add(name)
        there = {name for name, value in zip(names, values, strict=True) if value is not None}
        put = [r for key, r in latest.items() if r is not None and key not in touched]
        return put, [k for k, r in latest.items() if r is None and k in there - touched]


def change_keys(keys: TableKeys, change_id: str) -> list[str]:
    """Return the KEYS of `change.lua`."""
    return [
        *(keys.meta, keys.table, keys.log, keys.activity, keys.leases),
        keys.change(change_id),
    ]


def change_args(
    history: str,
    known: int,
    expected: int | None,
    writer: str,
    put: Sequence[Route],
    delete: Sequence[str],
    active: Mapping[str, float] = NO_MOMENTS,
) -> list[Any]:
    """Return the ARGV of `change.lua`; `active` is as in `RouteStore.apply`."""
    rows = [
        text for route in put for text in (route.key, route_text(route), active.get(route.key, ""))
    ]
    wanted = "" if expected is None else str(expected)
    return [
        *(history, known, wanted, writer, LOG_ENTRIES, ENTRY_ROUTES),
        *(
            len(put),
            json.dumps({key: round(at, 3) for key, at in active.items()}) if active else "",
        ),
        *rows,
        *delete,
    ]


def _row(point: Point) -> list[Any]:
    return [point.number, point.revision, point.id]


def _claims(found: Sequence[bytes]) -> dict[str, Point]:
    pairs = zip(found[::2], found[1::2], strict=True)
    return {
        name.decode(): Point(*json.loads(claim))
        for name, claim in pairs
        if not name.startswith(b"#")
    }
