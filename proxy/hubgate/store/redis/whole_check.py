"""Comparing the whole table in Redis with what is held, beside following it."""

import asyncio
import logging
from collections.abc import Callable, Iterable

from hubgate.errors import StoreError
from hubgate.store.redis.client import RedisClient
from hubgate.store.redis.held import Held
from hubgate.store.redis.keys import TableKeys, read_value, route_text
from hubgate.store.redis.table import members

log = logging.getLogger("hubgate.store")

# Seconds
INTERVAL = 30.0
BETWEEN_LOOKS = 1.0

_LOOKS = 3
_SLICE = 1000


class WholeCheck:
    """Notices now and then that Redis has routes other than those its log told of.

    What changes while it looks differs for a moment only: it counts if it still does after a while.
    """

    def __init__(
        self, client: RedisClient, keys: TableKeys, held: Held, is_settled: Callable[[], bool]
    ) -> None:
        self.failed = False
        self._is_settled = is_settled
        self._client = client
        self._keys = keys
        self._held = held

    def __repr__(self) -> str:
        return f"<WholeCheck {'failed' if self.failed else 'passed'}>"

    async def run(self) -> None:
        """Look every half minute, until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            if not self._is_settled():
                continue
            history = self._held.history
            try:
                differing = await self._differing()
            except StoreError:
                continue  # who follows the table says so
            if differing and self._is_settled() and history == self._held.history:
                log.error(
                    "store: %d routes in Redis are not what its log says, such as %r; they are"
                    " taken",
                    len(differing),
                    min(differing),
                )
                self.failed = True

    async def _differing(self) -> set[str]:
        """Return the keys of routes that differ, and do so for a while."""
        differing = set(self._held.table.routes)
        async for key, value in members(self._client, self._keys.table):
            name = key.decode()
            if self._is_held(name, value):
                differing.discard(name)
            else:
                differing.add(name)
        for _ in range(_LOOKS):
            if not differing:
                break
            await asyncio.sleep(BETWEEN_LOOKS)
            differing = await self._look(differing)
        return differing

    async def _look(self, names: Iterable[str]) -> set[str]:
        wanted, differing = [*names], set()
        for start in range(0, len(wanted), _SLICE):
            part = wanted[start : start + _SLICE]
            async with self._client.call() as redis:
                values = await redis.hmget(self._keys.table, part)
            for name, value in zip(part, values, strict=True):
                if not self._is_held(name, value):
                    differing.add(name)
        return differing

    def _is_held(self, name: str, value: bytes | None) -> bool:
        route = self._held.table.routes.get(name)
        if value is None or route is None:
            return route is None and (value is None or not _is_readable(name, value))
        return route_text(route).encode() == value.partition(b"\n")[2]


def _is_readable(name: str, value: bytes) -> bool:
    try:
        read_value(name.encode(), value)
    except StoreError:
        return False
    return True
