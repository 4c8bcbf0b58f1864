"""Whole route services on one Redis."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from hubgate.control.routes.bulk_changes import GivenRoute
from hubgate.control.routes.change_log import Revision
from hubgate.control.routes.rows import row
from hubgate.control.routes.service import RouteService
from hubgate.errors import RouteError
from hubgate.model import RedisLogin, ReplicaOptions, Route, Source
from hubgate.redis_address import parse_redis
from hubgate.store.base import StoreChange
from hubgate.store.redis.store import RedisStore
from tests.control.recording import RecordingWorkers
from tests.control.waiting import until
from tests.redis_server import RedisServer
from tests.store.redis.following import PATIENCE, restart, snapshot

TARGET, OTHER = "http://127.0.0.1:1", "http://127.0.0.1:2"
DAY = 86400.0


class GatedStore(RedisStore):
    """A store that reads nothing new while its gate is shut."""

    def __init__(self, url: str, name: str, settle: float) -> None:
        times = {"wait": 0.0, "lease": 3.0, "settle": settle}
        super().__init__(parse_redis(url), RedisLogin(), ReplicaOptions(name, **times))
        self.gate = asyncio.Event()
        self.gate.set()

    async def _follow(self) -> AsyncIterator[StoreChange]:
        async for change in super()._follow():
            await self.gate.wait()
            yield change


class Replica:
    """A service with such a store."""

    def __init__(self, url: str, name: str, settle: float = 0.4) -> None:
        self.store = GatedStore(url, name, settle)
        self.service = RouteService(self.store, RecordingWorkers())

    async def start(self) -> "Replica":
        await self.service.open((), ())
        self.service.begun()
        return self

    @property
    def revision(self) -> Revision:
        return self.service.changes.revision

    @property
    def keys(self) -> list[str]:
        return sorted(each.key for each in self.service.snapshot())

    def idle(self, key: str) -> float:
        """Return how long ago a route was active, in seconds."""
        return time.time() - self.service.get(key).last_activity

    def told(self, since: Revision) -> list[tuple[list[str], list[str]]]:
        changes = self.service.changes.after(since)
        return [(sorted(r.key for r in each.put), sorted(each.delete)) for each in changes]


Pair = tuple[Replica, Replica]


def route(key: str, target: str = TARGET) -> Route:
    return row(Route(key, target, {"target": target}), Source.API)


def make(key: str, data: dict[str, Any]) -> GivenRoute:
    if "target" not in data:
        raise RouteError("needs a target")
    return GivenRoute(row(Route(key, data["target"], data), Source.API))


BOTH = {"/x": {"target": TARGET}, "/y": {"target": TARGET}}


async def start_again(server: RedisServer, *replicas: Replica) -> None:
    """Start Redis again, with its data: that /x is there is not sure any more, for any of them."""
    restart(server, snapshot(server))
    for each in replicas:
        await until(lambda each=each: each.store.write_obstacle is not None, PATIENCE)
    for each in replicas:
        await until(
            lambda each=each: each.store.write_obstacle is None and not each.store.is_sure("/x"),
            PATIENCE,
        )
