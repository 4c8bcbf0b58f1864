"""The hubgates that share a table: their leases, and which revision each of them serves."""

import asyncio
import json
import logging
import math
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from hubgate.errors import StoreError
from hubgate.model import ReplicaOptions
from hubgate.store.base import Point
from hubgate.store.members import Describe, Replica
from hubgate.store.redis.client import CALL, RedisClient
from hubgate.store.redis.history import Meta
from hubgate.store.redis.keys import TableKeys
from hubgate.store.redis.known_replicas import KnownReplicas
from hubgate.tasks import keep_on, spawn

log = logging.getLogger("hubgate.store")

# Seconds a read of the acknowledgements waits for one.
BLOCK = 0.5
# Seconds between two reads while nobody here waits for one.
UNWANTED = 1.0
AGAIN = 0.25
# A release takes a second to start, on a busy machine several: nobody may forget us meanwhile.
UPGRADE = 15.0
# How late an acknowledgement may be that hardly anybody waits for.
LAZY = 0.05

_KEPT = 2000
# A field of an acknowledgement: no other follows until the next release has taken over.
_UPGRADES = "u"


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
    ) -> None:
        self._client = client
        self._keys = keys
        self._options = options
        self._describe: Describe = lambda secret, host: {}
        self._describing: asyncio.Task[Mapping[str, Any]] | None = None
        self._renewing = asyncio.Lock()
        self._next: asyncio.Task[StoreError | None] | None = None
        self._closed = False
        self._known_of_us: Mapping[str, Any] = {}
        self._instance = secrets.token_hex(8)
        self._secret = secrets.token_hex(16)
        self._renewed = -math.inf
        self._failing_since: float | None = None
        self._replaced = False
        self._known = KnownReplicas()
        self._revisions: dict[str, Point] = {}
        self._upgrading: dict[str, float] = {}  # until when each is waited for
        self._heard = asyncio.Event()
        # How many changes wait for acknowledgements, and whether any does: who makes no changes
        # need not hear of each.
        self._waiting = 0
        self._wanted = asyncio.Event()
        self._served: Point = ("", 0)
        self._told: Point = ("", 0)
        self._news = asyncio.Event()
        self._hurry = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._point: Callable[[], Point] = lambda: ("", 0)
        self._look: Callable[[Point, Meta], None] = lambda *_: None
        self._unrenewed: Callable[[StoreError], None] = lambda _: None

    def __repr__(self) -> str:
        return f"<Membership of {self._options.name}, {'live' if self.live else 'no lease'}>"

    @property
    def name(self) -> str:
        """Our name among the replicas."""
        return self._options.name

    @property
    def instance(self) -> str:
        """What tells us from an earlier or later process of that name."""
        return self._instance

    @property
    def secret(self) -> str:
        """What only the replicas know: made by the first, and given back to a Redis without it."""
        return self._secret

    @property
    def lease(self) -> float:
        """Seconds after which a replica that is not heard of counts as gone."""
        return self._options.lease

    @property
    def replaced(self) -> bool:
        """Whether another hubgate has our name, until its lease ends."""
        return self._replaced

    @property
    def live(self) -> bool:
        """Whether we hold a lease, by our own clock, which ends it earlier than Redis's."""
        return not self._replaced and self.renewed_ago < self._options.lease * 0.9

    @property
    def renewed_ago(self) -> float:
        """Seconds since the latest renewal that worked was sent."""
        return boot_time() - self._renewed

    @property
    def failing_for(self) -> float:
        """Seconds since the first renewal after it that did not work was sent; 0 if none was."""
        return 0.0 if self._failing_since is None else boot_time() - self._failing_since

    @property
    def redis_time(self) -> float:
        """What Redis's clock shows now, or somewhat less: milliseconds since the epoch."""
        return self._known.redis_time(boot_time())

    @property
    def known_at(self) -> float:
        """When Redis last told of the others, in seconds since the epoch."""
        return self._known.at

    @property
    def name_taken(self) -> str:
        """The line for one that is replaced."""
        return (
            f"store: another hubgate has the name {self._options.name!r} now; give each its own"
            " replicas.name"
        )

    def describe(self, describe: Describe) -> None:
        """Tell the others what `describe` returns, from the next renewal on."""
        self._describe = describe

    def replicas(self) -> list[Replica]:
        """Return every replica, ourselves too, as Redis had them when it last answered."""
        serving = {**self._revisions, self._options.name: self._served}
        return self._known.all(serving, boot_time())

    async def begin(self) -> None:
        """Take the lease of our name, from an instance before us too. Raises StoreError."""
        proposed = self._secret
        async with self._renewing:
            await self._renew(first=True)
            if self._secret != proposed:  # what we say of ourselves was made with another
                await self._renew(first=False)

    async def renew(self) -> None:
        """Renew the lease now, and not only when it is time. Raises StoreError.

        All that ask while a renewal is under way share the one after it.
        """
        if self._next is None:
            self._next = spawn(self._renew_next(), "renewal of the lease")
        if (error := await asyncio.shield(self._next)) is not None:
            raise error

    def start(
        self,
        point: Callable[[], Point],
        look: Callable[[Point, Meta], None],
        unrenewed: Callable[[StoreError], None],
    ) -> None:
        """Renew, acknowledge and listen from now on.

        `look` gets what each renewal shows of the table, and the `point` that we had reached when
        it was sent: what we have followed meanwhile, Redis did not know yet. `unrenewed` gets what
        prevents one.
        """
        self._point, self._look, self._unrenewed = point, look, unrenewed
        tasks = {
            "lease": self._renew_on,
            "acknowledgements to others": self._tell_on,
            "acknowledgements of others": self._listen_on,
        }
        self._tasks = [spawn(keep_on(work, name, AGAIN), name) for name, work in tasks.items()]

    async def close(self, leave: bool) -> None:
        """Stop; give the lease up if we `leave`, rather than become the next release.

        Then the others are told to wait for that one.
        """
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._closed = True
        if self._replaced:
            return
        if leave:
            async with self._renewing:  # or a renewal under way would take it again
                await self._script(0.0, False, {})
        elif self._tasks:
            async with self._renewing:
                lease = max(self._options.lease, UPGRADE)
                await self._script(lease, False, self._known_of_us)
            await self._tell({_UPGRADES: "1"})

    def serves(self, history: str, revision: int, awaited: int = -1) -> None:
        """Acknowledge that all our workers have every change up to this revision.

        The latest change of somebody else is revision `awaited`, if that is known. Nobody waits for
        us to serve what we wrote ourselves, but those that make the same change once more.
        """
        if (history, revision) != self._served and not self._has_served(history, revision):
            self._served = history, revision
            if awaited < 0 or self._told[0] != history or self._told[1] < awaited:
                self._hurry.set()
            self._news.set()

    def _has_served(self, history: str, revision: int) -> bool:
        return history == self._served[0] and revision <= self._served[1]

    async def missing(
        self, history: str, revision: int, holders: frozenset[str], seconds: float
    ) -> tuple[str, ...]:
        """Wait until these replicas serve the revision; return those that do not in time.

        For one that is being upgraded it waits until its lease ends: until its workers hear of the
        change again, which takes a second or so.
        """
        others = holders - {self._options.name}
        ends = boot_time() + seconds
        self._waiting += 1
        try:
            while late := self._late(others, history, revision):
                more = [self._upgrading[name] for name in late & self._upgrading.keys() if seconds]
                left = max([ends, *more]) - boot_time()
                if left <= 0:
                    return tuple(sorted(late))
                self._wanted.set()
                self._heard.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(left):
                        await self._heard.wait()
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

    # --- tasks -------------------------------------------------------------------------------

    async def _renew_on(self) -> None:
        while True:
            await asyncio.sleep(self._options.lease / 3)
            try:
                await self.renew()
            except StoreError as error:
                self._unrenewed(error)

    async def _renew_next(self) -> StoreError | None:
        async with self._renewing:
            self._next = None
            try:
                if not self._closed:
                    await self._renew(first=False)
            except StoreError as error:
                return error
        return None

    async def _renew(self, first: bool) -> None:
        """Renew the lease: only one at a time, so that what is known is from the latest."""
        patience = CALL if first else min(CALL, self._options.lease / 10)
        about = await self._description(patience)
        sent, point = boot_time(), self._point()
        try:
            answer = await self._script(self._options.lease, first, about)
        except StoreError:
            self._fail(sent)
            raise
        if not answer[0]:
            self._fail(sent)
            if not self._replaced:
                log.error("%s", self.name_taken)
            self._replaced = True
            return
        if self._replaced:
            log.info("store: no other hubgate has the name %r any more", self._options.name)
        self._replaced = False
        self._renewed, self._failing_since = max(sent, self._renewed), None
        run, history, began, revision, whole, secret, now, leases, records = answer[1:10]
        self._secret = secret.decode()
        self._known.take(now, leases, records, boot_time())
        meta = Meta(history.decode(), began.decode(), run.decode(), revision, bool(whole))
        self._look(point, meta)

    def _fail(self, sent: float) -> None:
        if self._failing_since is None and sent > self._renewed:
            self._failing_since = sent

    async def _script(self, lease: float, first: bool, about: Mapping[str, Any]) -> Any:
        told = json.dumps({**about, "instance": self._instance, "lease": lease})
        keys = self._keys
        names = [keys.meta, keys.table, keys.leases, keys.replicas, keys.secret]
        ends = round(lease * 1000)
        args = [self._options.name, self._instance, ends, told, int(first), self._secret]
        return await self._client.script("renew", names, args)

    async def _description(self, seconds: float) -> Mapping[str, Any]:
        """Return what the others may know of us; an earlier one if a name server is silent."""
        if self._describing is None:
            self._describing = spawn(asyncio.to_thread(self._about), "description of a replica")
        try:
            async with asyncio.timeout(seconds):
                self._known_of_us = await asyncio.shield(self._describing)
        except TimeoutError:
            pass  # it goes on
        finally:
            if self._describing.done():
                self._describing = None
        return self._known_of_us

    def _about(self) -> Mapping[str, Any]:
        return self._describe(self._secret, self._client.own_host())

    async def _tell_on(self) -> None:
        while True:
            await self._news.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(LAZY):
                    await self._hurry.wait()
            self._news.clear()
            self._hurry.clear()
            history, revision = self._served
            if (history, revision) == self._told:
                continue
            if self._replaced:  # what is told under this name is about another
                await asyncio.sleep(AGAIN)
                self._news.set()
                self._hurry.set()
                continue
            try:
                await self._tell({})
                self._told = history, revision
            except StoreError:
                await asyncio.sleep(AGAIN)
                self._news.set()
                self._hurry.set()

    async def _tell(self, more: dict[str, str]) -> None:
        history, revision = self._served
        fields = {"n": self._options.name, "h": history, "r": revision, **more}
        async with self._client.call() as redis:
            await redis.xadd(self._keys.acknowledged, fields, maxlen=_KEPT)

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
        known, told = self._revisions.get(name), (fields[b"h"].decode(), int(fields[b"r"]))
        # An older one may arrive later.
        self._revisions[name] = max(known, told) if known and known[0] == told[0] else told
        if _UPGRADES.encode() in fields:
            self._upgrading[name] = boot_time() + self._options.lease
        else:
            self._upgrading.pop(name, None)
