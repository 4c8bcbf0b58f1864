"""Handing in what Redis has lost: acknowledged changes that the history which goes on lacks.

Several hubgates hand in parts of one lost history, and one may know less of it than another. So
what is handed in says where it comes from, and replaces only what comes from earlier. Whatever
was changed in the new history itself stays.
"""

import json
import logging
import math
from collections.abc import Mapping, Sequence

from hubgate.model import Route
from hubgate.store.base import Expected
from hubgate.store.redis.client import RedisClient
from hubgate.store.redis.held import Held
from hubgate.store.redis.history import Meta, kept_up_to, point_of
from hubgate.store.redis.keys import TableKeys, read_value
from hubgate.store.redis.table_write import TableWrite

log = logging.getLogger("hubgate.store")

Origin = tuple[float, float]
"""The number of a history and a revision of it; of changes in the history that goes on, `HERE`."""

HERE: Origin = (math.inf, math.inf)

# Seconds
READING = 5.0
WRITING = 5.0

_SLICE = 1000


class _Touched:
    """The keys that were changed in a history since it began, and where these changes come from."""

    def __init__(self) -> None:
        self._keys: dict[str, Origin] = {}
        self._read = "-"

    async def read(self, client: RedisClient, keys: TableKeys) -> None:
        """Read what is new in the log. Raises StoreError."""
        async with client.call(READING) as redis:
            for name, fields in await redis.xrange(keys.log, min=self._read):
                self._note(fields)
                self._read = f"({name.decode()}"

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
        return self._keys.get(key, (-1, -1)) >= origin

    def _note(self, fields: Mapping[bytes, bytes]) -> None:
        if origins := fields.get(b"o"):
            number, revisions = json.loads(origins)
            for key, revision in revisions.items():
                self._keys[key] = max(self._keys.get(key, (-1, -1)), (number, revision))
            return
        named = [name[1:].decode() for name in fields if name[:1] in (b"p", b"d")]
        self._keys |= dict.fromkeys([*named, *json.loads(fields.get(b"a", b"[]"))], HERE)


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
        latest, base = _lacking(held, meta)
        if not latest:
            return True
        number = point_of(held.history, 0).number
        change_id = f"{held.name}:{held.history}:{held.revision}:{meta.history}"
        touched = _Touched()
        await touched.read(self._client, self._keys)
        await touched.compare(self._client, self._keys, [*latest], base)
        while True:
            kept = {k: v for k, v in latest.items() if not touched.since(k, (number, v[1]))}
            if not kept:
                return True
            put = [route for route, _ in kept.values() if route is not None]
            delete = [key for key, (route, _) in kept.items() if route is None]
            origins = json.dumps([number, {key: revision for key, (_, revision) in kept.items()}])
            write = TableWrite(
                *(change_id, meta.history, held.name, put, delete),
                expected=Expected(meta.revision),
                active={r.key: held.activity[r.key] for r in put if r.key in held.activity},
                origins=origins,
            )
            answer = await write.make(self._client, self._keys, WRITING)
            if answer[0] == b"stale":
                return False
            if answer[0] == b"ok":
                text = "store: handed in what it had lost: %d put, %d removed"
                log.warning(text, len(put), len(delete))
                return True
            await touched.read(self._client, self._keys)
            meta = meta.at(answer[1])


def _lacking(held: Held, meta: Meta) -> tuple[dict[str, tuple[Route | None, int]], int]:
    """Return what a history lacks: by key, the route or None, and the revision that made it so.

    Also the revision of that history up to which its values say nothing.
    """
    limit = kept_up_to(held.history, held.lineage, meta.lineage)
    latest: dict[str, tuple[Route | None, int]] = {}
    if limit is None:  # it has nothing of ours at all
        latest = {key: (route, 0) for key, route in held.table.items()}
    for entry in held.since(limit or 0):
        latest |= {route.key: (route, entry.revision) for route in entry.put}
        latest |= {key: (None, entry.revision) for key in entry.delete}
    return latest, limit if limit is not None else meta.lineage[-1].base
