"""The hubgates that share a table: their leases, and which revision each of them serves."""

import asyncio
import json
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from hubgate.errors import StoreError
from hubgate.model import ReplicaOptions
from hubgate.store.redis.client import RedisClient
from hubgate.store.redis.keys import TableKeys
from hubgate.tasks import spawn

log = logging.getLogger("hubgate.store")

# Seconds a read of the acknowledgements waits for one.
BLOCK = 0.5
# Seconds between two reads while nobody here waits for one.
UNWANTED = 1.0
AGAIN = 0.25

_KEPT = 2000


def boot_time() -> float:
    """Return a clock in seconds that goes on while the machine sleeps, where there is one."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


class Membership:
    """Renews our lease, acknowledges what we serve, and waits for what the others serve."""

    def __init__(
        self,
        client: RedisClient,
        keys: TableKeys,
        options: ReplicaOptions,
        about: Mapping[str, Any],
    ) -> None:
        self._client = client
        self._keys = keys
        self._options = options
        self._about = about
        self._instance = secrets.token_hex(8)
        self._until = 0.0
        self._replaced = False
        self._revisions: dict[str, tuple[str, int]] = {}
        self._heard = asyncio.Event()
        # How many changes wait for acknowledgements, and whether any does: who makes no changes
        # need not hear of each.
        self._waiting = 0
        self._wanted = asyncio.Event()
        self._served: tuple[str, int] = ("", 0)
        self._told: tuple[str, int] = ("", 0)
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._look: Callable[[str, str, str, int, bool], None] = lambda *_: None

    def __repr__(self) -> str:
        return f"<Membership of {self._options.name}, {'live' if self.live else 'no lease'}>"

    @property
    def live(self) -> bool:
        """Whether we hold a lease, by our own clock."""
        return boot_time() < self._until

    async def begin(self) -> None:
        """Take the lease of our name, from an instance before us too. Raises StoreError."""
        await self._renew(first=True)

    def start(self, look: Callable[[str, str, str, int, bool], None]) -> None:
        """Renew, acknowledge and listen from now on.

        `look` gets what each renewal shows of the table: run id of Redis, history, on which run it
        began, revision, and whether it has as many routes as it must.
        """
        self._look = look
        self._tasks = [
            spawn(self._renew_on(), "lease"),
            spawn(self._tell_on(), "acknowledgements to others"),
            spawn(self._listen_on(), "acknowledgements of others"),
        ]

    async def close(self, leave: bool) -> None:
        """Stop; give the lease up if we `leave`, rather than become the next release."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if leave and not self._replaced:
            await self._script(0, first=False)

    def serves(self, history: str, revision: int) -> None:
        """Acknowledge that all our workers have every change up to this revision."""
        self._served = history, revision
        self._news.set()

    async def missing(
        self, history: str, revision: int, holders: frozenset[str], seconds: float
    ) -> tuple[str, ...]:
        """Wait until these replicas serve the revision; return those that do not in time."""
        others = holders - {self._options.name}
        self._waiting += 1
        try:
            async with asyncio.timeout(seconds):
                while late := self._late(others, history, revision):
                    self._wanted.set()
                    self._heard.clear()
                    await self._heard.wait()
        except TimeoutError:
            return tuple(sorted(late))
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._wanted.clear()
        return ()

    def _late(self, names: frozenset[str], history: str, revision: int) -> set[str]:
        known = self._revisions
        return {
            name
            for name in names
            if name not in known or known[name][0] != history or known[name][1] < revision
        }

    async def replicas(self) -> list[dict[str, Any]]:
        """Return what is known of each replica, for an operator. Raises StoreError."""
        async with self._client.call() as redis:
            pipe = redis.pipeline(transaction=True)
            pipe.hgetall(self._keys.replicas)
            pipe.zrange(self._keys.leases, 0, -1, withscores=True)
            pipe.time()
            known, leases, (seconds, micros) = await pipe.execute()
        now = seconds * 1000 + micros / 1000
        ends = dict(leases)
        return [
            {
                **json.loads(text),
                "name": name.decode(),
                "live": ends.get(name, 0) > now,
                "revision": self._revisions.get(name.decode(), ("", 0))[1],
            }
            for name, text in sorted(known.items())
        ]

    # --- tasks -------------------------------------------------------------------------------

    async def _renew_on(self) -> None:
        while not self._replaced:
            await asyncio.sleep(self._options.lease / 3)
            try:
                await self._renew(first=False)
            except StoreError:
                continue  # who follows the table says so

    async def _renew(self, first: bool) -> None:
        sent = boot_time()
        answer = await self._script(round(self._options.lease * 1000), first)
        if not answer[0]:
            self._replaced, self._until = True, 0.0
            log.error(
                "store: another hubgate has the name %r now; give each its own replicas.name",
                self._options.name,
            )
            return
        self._until = sent + self._options.lease * 0.9
        run, history, began, revision, whole = answer[1:6]
        self._look(run.decode(), history.decode(), began.decode(), revision, bool(whole))

    async def _script(self, lease: int, first: bool) -> Any:
        about = {**self._about, "instance": self._instance}
        keys = [self._keys.meta, self._keys.table, self._keys.leases, self._keys.replicas]
        args = [self._options.name, self._instance, lease, json.dumps(about), int(first)]
        return await self._client.script("renew", keys, args)

    async def _tell_on(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            history, revision = self._served
            if (history, revision) == self._told:
                continue
            try:
                async with self._client.call() as redis:
                    fields = {"n": self._options.name, "h": history, "r": revision}
                    await redis.xadd(self._keys.acknowledged, fields, maxlen=_KEPT)
                self._told = history, revision
            except StoreError:
                await asyncio.sleep(AGAIN)
                self._news.set()

    async def _listen_on(self) -> None:
        last = b"0"
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), UNWANTED)
            block = round(BLOCK * 1000) if self._wanted.is_set() else None
            try:
                async with self._client.call(BLOCK + 1) as redis:
                    found = await redis.xread({self._keys.acknowledged: last}, block=block)
            except StoreError:
                last = b"0"  # a Redis that comes back may have none of them, or older ones
                await asyncio.sleep(AGAIN)
                continue
            for _, entries in found:
                for _, fields in entries:
                    self._hear(fields)
                last = entries[-1][0]
                self._heard.set()

    def _hear(self, fields: Mapping[bytes, bytes]) -> None:
        name = fields[b"n"].decode()
        self._revisions[name] = fields[b"h"].decode(), int(fields[b"r"])
