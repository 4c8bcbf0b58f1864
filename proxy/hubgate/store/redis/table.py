"""Reading the whole table from Redis, in slices."""

import logging
from collections.abc import AsyncIterator

from hubgate.errors import StoreError, StoreUnavailableError
from hubgate.model import Route
from hubgate.store.redis.client import RedisClient
from hubgate.store.redis.history import Meta
from hubgate.store.redis.keys import Row, TableKeys, VersionedTable, read_entry, read_value

log = logging.getLogger("hubgate.store")

_SLICE = 1000
_TRIES = 20


async def read_table(
    client: RedisClient, keys: TableKeys, meta: Meta
) -> tuple[VersionedTable, int]:
    """Return the table, and its revision: that of `meta` or a later one. Raises StoreError.

    What changes while it is read is in the log: it is read from the revision before it.
    """
    revision = meta.revision
    for _ in range(_TRIES):
        # What is gone must not be newer than the routes.
        table = VersionedTable(gone=await read_gone(client, keys))
        async for row, route in readable(client, keys):
            table.routes[route.key] = route
            table.versions[route.key] = row.version
        latest = await _replay(client, keys, revision, table)
        if latest is not None:
            return table, latest
        async with client.call() as redis:
            history, at = await redis.hmget(keys.meta, ("history", "revision"))
        if (history or b"").decode() != meta.history:
            break
        revision = int(at)
    raise StoreUnavailableError("store: the table in Redis changed too much while it was read")


async def _replay(
    client: RedisClient, keys: TableKeys, revision: int, table: VersionedTable
) -> int | None:
    """Apply what came after `revision`; return up to where, None if the log does not reach back."""
    async with client.call(5) as redis:
        entries = await redis.xrange(keys.log, min=f"({revision}-0")
        at = int(await redis.hget(keys.meta, "revision") or 0)
    for name, fields in entries:
        entry = read_entry(name, fields)
        if entry.whole or entry.revision != revision + 1:
            return None
        table.take(entry)
        revision = entry.revision
    return revision if entries or at == revision else None


async def read_gone(client: RedisClient, keys: TableKeys) -> dict[str, int]:
    """Return the versions of removals, by `gone_name`. Raises StoreError."""
    async with client.call(5) as redis:
        found = await redis.zrange(keys.gone, 0, -1, withscores=True)
    return {name.decode(): int(version) for name, version in found}


async def readable(client: RedisClient, keys: TableKeys) -> AsyncIterator[tuple[Row, Route]]:
    """Yield the routes, as `members` does; one that cannot be read is logged, and left out."""
    async for key, value in members(client, keys.table):
        try:
            found = read_value(key, value)
        except StoreError as error:
            log.error("%s; it is left out until somebody posts it again", error)
        else:
            yield found


async def members(client: RedisClient, name: str) -> AsyncIterator[tuple[bytes, bytes]]:
    """Yield the members of a hash; those that change meanwhile may be missing, or come twice."""
    cursor = 0
    while True:
        async with client.call(5) as redis:
            cursor, part = await redis.hscan(name, cursor, count=_SLICE)
        for item in part.items():
            yield item
        if not int(cursor):
            return


async def read_activity(client: RedisClient, keys: TableKeys) -> dict[str, float]:
    """Return when each route was last active, in seconds since the epoch. Raises StoreError."""
    try:
        return {key.decode(): float(at) async for key, at in members(client, keys.activity)}
    except ValueError as error:
        raise StoreError(f"store: an activity in Redis cannot be read: {error}") from None


async def told_up_to(client: RedisClient, keys: TableKeys) -> str:
    """Return the id of the latest entry in the stream of activity. Raises StoreError.

    Whoever asks for what is new again and again ("$") misses what comes in between.
    """
    async with client.call() as redis:
        latest = await redis.xrevrange(keys.active, count=1)
    return latest[0][0].decode() if latest else "0-0"
