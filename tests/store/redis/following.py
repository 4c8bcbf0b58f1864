"""A store that is followed as the routes service does it, with what it has yielded."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress

import redis as client

from hubgate.errors import StoreUnavailableError
from hubgate.model import RedisLogin, ReplicaOptions, Route
from hubgate.redis_address import parse_redis
from hubgate.store.base import StoreChange, Written
from hubgate.store.redis.keys import read_row
from hubgate.store.redis.store import RedisStore
from hubgate.tasks import spawn
from tests.control.waiting import until
from tests.redis_server import RedisServer

PATIENCE = 20.0  # seconds

AHEAD = 9 * 10**15
"""A version that Redis's clock has in the year 2255: as after a clock that ran ahead."""


def route(key: str, target: str = "http://127.0.0.1:1") -> Route:
    return Route(key, target, {"target": target})


class Following:
    """One replica: `table` is what its workers would have."""

    def __init__(self, url: str, name: str, **options: float) -> None:
        times = {"wait": 1.0, "lease": 1.5, "settle": 0.4, **options}
        self.store = RedisStore(parse_redis(url), RedisLogin(), ReplicaOptions(name, **times))
        self.changes: list[StoreChange] = []
        self.table: dict[str, str] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> "Following":
        await self.store.open()
        await self._load()
        self.store.serves(self.store.point)
        self.resume()
        return self

    def resume(self) -> None:
        """Follow the store."""
        self._task = spawn(self._follow(), "follow")

    async def pause(self) -> None:
        """Stop following, as if nothing arrived."""
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait({self._task})

    async def close(self) -> None:
        if self._task is not None:
            await self.pause()
        with suppress(StoreUnavailableError):
            await self.store.close()

    async def put(self, *keys: str, target: str = "http://127.0.0.1:1") -> Written:
        """Add routes as one change, trying again as a hub does."""
        return await self.change([route(key, target) for key in keys], [])

    async def delete(self, *keys: str) -> Written:
        return await self.change([], [*keys])

    async def change(self, put: list[Route], delete: list[str]) -> Written:
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    return await self.store.apply(put, delete)
                except StoreUnavailableError:
                    await asyncio.sleep(0.05)

    async def has(self, *keys: str) -> None:
        """Wait until it has these routes and no others."""
        await until(lambda: sorted(self.table) == sorted(keys), PATIENCE)

    async def _load(self) -> None:
        routes = await self.store.load()
        self.table = {each.key: each.target for each in routes}

    async def _follow(self) -> None:
        while True:
            try:
                await self._take_changes()
            except StoreUnavailableError:
                # It was gone once more while its table was loaded: as the service does, load it.
                await asyncio.sleep(0.05)
                with suppress(StoreUnavailableError):
                    await self._load()

    async def _take_changes(self) -> None:
        async with aclosing(self.store.changes()) as changes:
            async for change in changes:
                self.changes.append(change)
                if change.whole:
                    await self._load()
                for each in change.put:
                    self.table[each.key] = each.target
                for key in change.delete:
                    self.table.pop(key, None)
                self.store.serves(self.store.point)


def snapshot(server: RedisServer) -> bytes:
    """Return what Redis would have on its disk now."""
    assert server.ask("SAVE").startswith(b"+OK")
    return (server.folder / "dump.rdb").read_bytes()


def restart(server: RedisServer, data: bytes | None) -> None:
    """Kill Redis, and start it with that data, or none."""
    server.kill()
    server.forget()
    if data is not None:
        (server.folder / "dump.rdb").write_bytes(data)
    server.start()


async def fell_back(
    server: RedisServer, follow: Callable[..., Following], *changes: tuple[list[str], list[str]]
) -> tuple[Following, list[Following]]:
    """Have Redis fall back to before the changes; the one that goes on with that knows none.

    Of the others, each of which is paused, the first knows one change, the second two, and so on.
    """
    sleeper = await follow("sleeper").start()
    await sleeper.put("/stays")
    others = [await follow(f"other{number}").start() for number in range(len(changes))]
    await sleeper.pause()
    data = snapshot(server)
    for each, (put, delete) in zip(others, changes, strict=True):
        written = await others[-1].change([route(key) for key in put], delete)
        await until(lambda each=each, at=written.revision: each.store.point[1] >= at)
        await each.pause()
    restart(server, data)
    sleeper.resume()
    await sleeper.put("/meanwhile")
    return sleeper, others


def versions(server: RedisServer) -> dict[str, int]:
    with client.Redis(port=server.port) as redis:
        rows = redis.hgetall("hubgate:table")
    return {key.decode(): read_row(key, value).version for key, value in rows.items()}
