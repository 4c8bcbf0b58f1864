"""One change of the table, as the script takes it that makes it."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hubgate.errors import StoreError, StoreUnavailableError, StoreUnreachedError
from hubgate.model import Route
from hubgate.store.base import Expected
from hubgate.store.redis.client import RedisClient
from hubgate.store.redis.keys import (
    ENTRY_ROUTES,
    GONE,
    LOG_BYTES,
    LOG_ENTRIES,
    LogEntry,
    TableKeys,
    route_text,
)
from hubgate.store.redis.membership import Membership, boot_time


@dataclass(frozen=True, slots=True)
class TableWrite:
    """A change with an id of its own, by a writer that has seen revision `known` of the history.

    `expected` and `active` are as in `RouteStore.apply`; `lease` is the writer's, in seconds, 0 if
    nobody is to be waited for. `versions`, by key, are those of changes that are handed in: each is
    made only if nobody has changed its key later. `gone`, by `gone_name`, are more keys that are
    known to be removed, with their versions.
    """

    id: str
    history: str
    writer: str
    put: Sequence[Route]
    delete: Sequence[str]
    known: int = 0
    expected: Expected | None = None
    active: Mapping[str, float] = field(default_factory=dict)
    lease: float = 0.0
    versions: Mapping[str, int] = field(default_factory=dict)
    gone: Mapping[str, int] = field(default_factory=dict)

    def entry(self, revision: int, version: int, moment: float) -> LogEntry:
        """Return what the log has of it; `moment` is in seconds since the epoch."""
        put, delete = tuple(self.put), tuple(self.delete)
        return LogEntry(
            *(revision, self.writer, put, delete, self.active),
            history=self.history,
            version=version,
            moment=moment,
        )

    async def make(
        self, client: RedisClient, keys: TableKeys, seconds: float, until: float = 0.0
    ) -> Any:
        """Make it; return what `change.lua` says. Raises StoreError.

        After `until`, in milliseconds of Redis's clock, it is not made any more.
        """
        names = [keys.meta, keys.table, keys.log, keys.activity, keys.leases, keys.change(self.id)]
        names.append(keys.gone)
        return await client.script("change", names, self._args(until), seconds)

    async def in_time(
        self, client: RedisClient, keys: TableKeys, seconds: float, members: Membership
    ) -> Any:
        """Make it within that time, or never: not even if it arrives after we have given up.

        Packets may be under way for long, to a Redis that we have left, too. Raises StoreError,
        which says for how long it may still arrive.
        """
        for _ in range(2):
            begun, until = boot_time(), members.redis_time + seconds * 1000
            try:
                answer = await self.make(client, keys, seconds, until)
            except StoreUnreachedError:
                raise
            except StoreError as error:
                error.seconds = max(0.0, begun + seconds - boot_time())
                raise
            if answer[0] != b"late":
                return answer
            await members.renew()  # it is another Redis, or its clock was set
        raise StoreUnavailableError("store: the clock of Redis is not as it was; try again")

    def _args(self, until: float) -> list[Any]:
        active, expected = self.active, self.expected
        there = expected.there if expected else ()
        rows = [
            text
            for route in self.put
            for text in (
                *(route.key, route_text(route), active.get(route.key, "")),
                "1" if route.key in there else "",
            )
        ]
        moments = json.dumps({key: round(at, 3) for key, at in active.items()}) if active else ""
        of_table = expected.revision if expected and expected.whole else ""
        of_routes = expected.revision if expected and not expected.whole else ""
        return [
            *(self.history, self.known, of_table, self.writer, LOG_ENTRIES, ENTRY_ROUTES),
            *(_texts(self.versions), moments, round(self.lease * 1000), of_routes),
            *(LOG_BYTES, GONE, _texts(self.gone), math.floor(until), len(self.put)),
            *rows,
            *self.delete,
        ]


def _texts(versions: Mapping[str, int]) -> str:
    """Return versions as JSON, "" for none; as numbers, Lua would not write them as they were."""
    return json.dumps({key: str(at) for key, at in versions.items()}) if versions else ""
