"""Handing in what Redis has lost: acknowledged changes that the history which goes on lacks.

Several hubgates hand in parts of one lost history, and one may know less of it than another. So
what is handed in says where it comes from, and replaces only what comes from earlier. Whatever
was changed in the new history itself stays.

Changes are remembered up to a bound, here (`RecentChanges`) and in Redis's log. Beyond ours, whole
tables are compared. Beyond the log's, a route that was removed there looks like one that was lost.
"""

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hubgate.model import Route
from hubgate.store.base import Expected
from hubgate.store.redis.client import RedisClient
from hubgate.store.redis.held import Held
from hubgate.store.redis.history import Meta, kept_up_to, point_of
from hubgate.store.redis.keys import TableKeys, read_value, route_text
from hubgate.store.redis.table import members
from hubgate.store.redis.table_write import TableWrite

log = logging.getLogger("hubgate.store")

Origin = tuple[float, float]
"""The number of a history and a revision of it; of changes in the history that goes on, `HERE`."""

HERE: Origin = (math.inf, math.inf)
_NEVER: Origin = (-1, -1)

# Seconds
READING = 5.0
WRITING = 5.0

_SLICE = 1000
LOG_SLICE = 100


class _Touched:
    """The keys that were changed in a history since it began, and where these changes come from.

    `base` is the revision that it continues. `all_known` is False if some are not in its log: those
    of histories between revision `since` and its beginning, and what the log has forgotten.
    """

    def __init__(self, base: int, since: int) -> None:
        # The log of a history before this one is gone.
        self.all_known = base == since
        self._keys: dict[str, Origin] = {}
        self._revision = base

    async def read(self, client: RedisClient, keys: TableKeys) -> None:
        """Read what is new in the log. Raises StoreError."""
        full = True
        while full:
            async with client.call(READING) as redis:
                after = f"({self._revision}-0"
                entries = await redis.xrange(keys.log, min=after, count=LOG_SLICE)
            for name, fields in entries:
                revision = int(name.partition(b"-")[0])
                self.all_known = self.all_known and revision == self._revision + 1
                self._revision = revision
                self._note(fields)
            full = len(entries) == LOG_SLICE

    async def compare(
        self, client: RedisClient, keys: TableKeys, names: Sequence[str], base: int
    ) -> None:
        """Look for what the log has forgotten: values put after revision `base`."""
        for start in range(0, len(names), _SLICE):
            part = names[start : start + _SLICE]
            async with client.call(READING) as redis:
                values = await redis.hmget(keys.table, part)
            for name, value in zip(part, values, strict=True):
                if value is not None and read_value(name.encode(), value)[0] > base:
                    self._keys.setdefault(name, HERE)

    def since(self, key: str, origin: Origin) -> bool:
        """Return whether the key was changed later than that."""
        return self._keys.get(key, _NEVER) >= origin

    def origin(self, key: str) -> Origin | None:
        """Return where the latest change of the key comes from, None if none is known."""
        return self._keys.get(key)

    def _note(self, fields: Mapping[bytes, bytes]) -> None:
        if origins := fields.get(b"o"):
            number, revisions = json.loads(origins)
            for key, revision in revisions.items():
                self._keys[key] = max(self._keys.get(key, _NEVER), (number, revision))
            return
        named = [name[1:].decode() for name in fields if name[:1] in (b"p", b"d")]
        self._keys |= dict.fromkeys([*named, *json.loads(fields.get(b"a", b"[]"))], HERE)


@dataclass
class _Lacking:
    """What a history lacks of ours: `latest` by key, the route or None, and since which revision.

    It goes on with ours up to `kept` (-1 if with nothing), and up to its own revision `base` its
    values say nothing. Unless `all_known`, whole tables have to be compared: what we hold is what
    there was at revision `after` of ours, or later.
    """

    latest: dict[str, tuple[Route | None, int]]
    kept: int
    base: int
    all_known: bool
    after: int

    def still(self, touched: _Touched, number: int) -> dict[str, tuple[Route | None, int]]:
        """Return what nobody has changed later than we had."""
        return {k: v for k, v in self.latest.items() if not touched.since(k, (number, v[1]))}

    async def compare(
        self, client: RedisClient, keys: TableKeys, held: Held, touched: _Touched
    ) -> None:
        """Compare whole tables: find what we had removed, and leave out what is there already.

        Raises StoreError.
        """
        number = point_of(held.history, 0).number
        async for name, value in members(client, keys.table):
            key, ours = name.decode(), held.table.get(name.decode())
            revision, _ = read_value(name, value)
            if ours is not None:
                same = route_text(ours).encode() == value.partition(b"\n")[2]
                if same and self.latest[key] == (ours, self.after):
                    del self.latest[key]
            elif key not in self.latest and self._was_ours(revision, touched.origin(key), number):
                self.latest[key] = (None, self.after)

    def _was_ours(self, revision: int, origin: Origin | None, number: int) -> bool:
        """Return whether we had a route before our table was without it."""
        if origin is None:
            return revision <= self.kept
        return origin[0] == number and origin[1] <= self.after


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
        touched = _Touched(meta.lineage[-1].base, max(lacking.kept, 0))
        if lacking.latest or not lacking.all_known:
            await touched.read(self._client, self._keys)
        if not lacking.all_known:
            log.warning("store: it has lost more changes than are kept here; comparing the tables")
            await lacking.compare(self._client, self._keys, held, touched)
        await touched.compare(self._client, self._keys, [*lacking.latest], lacking.base)
        number = point_of(held.history, 0).number
        while kept := lacking.still(touched, number):
            answer = await self._write(held, meta, number, kept)
            if answer[0] == b"stale":
                return False
            if answer[0] == b"ok":
                _report(kept, touched)
                return True
            await touched.read(self._client, self._keys)
            meta = meta.at(answer[1])
        return True

    async def _write(
        self, held: Held, meta: Meta, number: int, kept: Mapping[str, tuple[Route | None, int]]
    ) -> Any:
        change_id = f"{held.name}:{held.history}:{held.revision}:{meta.history}"
        put = [route for route, _ in kept.values() if route is not None]
        delete = [key for key, (route, _) in kept.items() if route is None]
        origins = json.dumps([number, {key: revision for key, (_, revision) in kept.items()}])
        write = TableWrite(
            *(change_id, meta.history, held.name, put, delete),
            expected=Expected(meta.revision),
            active={r.key: held.activity[r.key] for r in put if r.key in held.activity},
            origins=origins,
        )
        return await write.make(self._client, self._keys, WRITING)


def _report(kept: Mapping[str, tuple[Route | None, int]], touched: _Touched) -> None:
    put = sum(route is not None for route, _ in kept.values())
    text = "store: handed in what it had lost: %d put, %d removed"
    log.warning(text, put, len(kept) - put)
    if put and not touched.all_known:
        log.warning(
            "store: its log did not reach back to then: of these, routes may be back that were"
            " removed meanwhile"
        )


def _lacking(held: Held, meta: Meta) -> _Lacking:
    kept, after = kept_up_to(held.history, held.lineage, meta.lineage), held.recent.after
    all_known = kept is not None and kept >= after
    latest: dict[str, tuple[Route | None, int]] = {}
    if not all_known:
        latest = {key: (route, after) for key, route in held.table.items()}
    for entry in held.since(kept or 0):
        latest |= {route.key: (route, entry.revision) for route in entry.put}
        latest |= {key: (None, entry.revision) for key in entry.delete}
    base = meta.lineage[-1].base if kept is None else kept
    return _Lacking(latest, -1 if kept is None else kept, base, all_known, after)
