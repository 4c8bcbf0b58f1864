"""Routes in Redis, which several hubgates read and write."""

import asyncio
import logging
import math
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from enum import Enum
from functools import partial

from hubgate.errors import (
    StoreError,
    StoreRefusedError,
    StoreUnavailableError,
    TableAheadError,
)
from hubgate.model import RedisLogin, ReplicaOptions, Route
from hubgate.redis_address import RedisAddress
from hubgate.store.base import NO_MOMENTS, Expected, Point, StoreChange, Written
from hubgate.store.redis.activity import Activity
from hubgate.store.redis.client import CALL, RedisClient, eviction
from hubgate.store.redis.held import Held
from hubgate.store.redis.history import Meta
from hubgate.store.redis.keys import TableKeys, read_entry
from hubgate.store.redis.membership import Membership, boot_time
from hubgate.store.redis.settling import POLL, Settling
from hubgate.store.redis.table import read_table
from hubgate.store.redis.table_write import TableWrite
from hubgate.store.redis.whole_check import WholeCheck
from hubgate.tasks import keep_on, spawn

log = logging.getLogger("hubgate.store")

# Seconds
BLOCK = 0.5
AGAIN = 0.25
START_LIMIT = 15.0
# Of what others tell of activity, only the latest is kept for those who have not heard for a while.
SILENCE = 5.0

_ANOTHER = "the table in Redis is another one than before; it is being settled"
# A large change takes this many seconds more for each route.
_EACH = 0.0001


class RedisState(Enum):
    """The state of the shared table, as this replica sees it."""

    NEW = "new"
    SETTLED = "settled"
    UNSETTLED = "unsettled"
    AWAY = "away"
    CLOSED = "closed"


class RedisStore:
    """Keeps routes in Redis, for every hubgate with the same address and prefix.

    It holds what it has followed so far in memory too: that is what a Redis gets back that has
    lost its data, by the rules of `history`.
    """

    def __init__(
        self,
        address: RedisAddress,
        login: RedisLogin,
        options: ReplicaOptions,
    ) -> None:
        self._address = address
        self._options = options
        self._keys = TableKeys(address)
        self._client = RedisClient(address, login)
        self._state = RedisState.NEW
        self._reason = "the table has not been read yet"
        self._since = 0.0
        self._held = Held(options.name)
        self._of_others = 0  # the latest revision that may be another's
        self._membership = Membership(self._client, self._keys, options)
        self._settling = Settling(self._client, self._keys, options.settle)
        self._activity = Activity(self._client, self._keys, self._held)
        self._heard = -math.inf
        self._is_said = False  # why the lease is not renewed
        self._check = WholeCheck(
            *(self._client, self._keys, self._held),
            self._is_settled,
        )
        self._activity_writer: asyncio.Task[None] | None = None
        self._checking: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<RedisStore {self._address} {self._state.value}>"

    @property
    def shared(self) -> bool:
        """True: every hubgate with this address writes to it."""
        return True

    @property
    def members(self) -> Membership:
        """Our lease, and everybody who shares the table."""
        return self._membership

    @property
    def write_obstacle(self) -> str | None:
        """One word for what prevents a change now, None if nothing does."""
        if self._state is not RedisState.SETTLED:
            return str(self._state.value)
        if self._membership.replaced:
            return "name"
        return "away" if self._membership.failing_for else None

    @property
    def point(self) -> Point:
        """The history and the revision of the table as followed so far."""
        return self._held.history, self._held.revision

    # --- start and end -----------------------------------------------------------------------

    async def open(self) -> None:
        """Connect, register, and settle which table goes on if Redis has just been started.

        Tries for 15 s. Raises StoreError; whoever goes on without it has `changes()` try again.
        """
        deadline, said = time.monotonic() + START_LIMIT, ""
        while True:
            try:
                await self._begin()
                return
            except StoreRefusedError:
                raise  # waiting does not mend it
            except StoreUnavailableError as error:
                if time.monotonic() > deadline:
                    raise StoreUnavailableError(
                        f"{error}, for {START_LIMIT:.0f} s; `proxyctl check` tries it as well"
                    ) from None
                if str(error) != said:
                    log.warning("%s; trying again for %.0f s", error, START_LIMIT)
                said = str(error)
                await asyncio.sleep(1)

    async def _begin(self) -> None:
        if (warning := await eviction(self._client)) is not None:
            log.warning("%s", warning)
        await self._membership.begin()
        await self._settling.settle(self._held)
        self._settled()
        self._membership.start(lambda: self.point, self._look, self._unrenewed)
        tasks: dict[str, Callable[[], Awaitable[None]]] = {
            "activity of routes": partial(self._activity.write_on, self._is_settled),
            "check of the whole table": self._check.run,
        }
        self._activity_writer, self._checking = (
            spawn(keep_on(work, name, AGAIN), name) for name, work in tasks.items()
        )

    def hand_over(self) -> str:
        """Return where we are in which history, and the versions of all that we hold."""
        return self._held.text(str(self._address))

    def take_over(self, text: str, routes: Sequence[Route], activity: Mapping[str, float]) -> None:
        """Hold what the release before held, if it was of this table."""
        self._held.take_over(text, str(self._address), routes, activity)

    async def load(self) -> list[Route]:
        """Return every stored route."""
        meta = await self._settling.look()
        begun = meta.began == meta.run and meta.whole
        if self._state is RedisState.SETTLED and not begun:
            self._unsettle(_ANOTHER)  # nobody who makes a change need wait for that
        await self._settling.settle(self._held)
        meta = await self._settling.look()
        table, revision = await read_table(self._client, self._keys, meta)
        told, known = await self._activity.load()
        after = await self._settling.look()
        if meta.began != meta.run or after.run != meta.run or after.history != meta.history:
            raise StoreUnavailableError(f"store: {self._address} was started again meanwhile")
        if not meta.whole or not after.whole:
            raise StoreUnavailableError(f"store: {self._address} lacks routes; it is being settled")
        self._activity.begin(told, known, table, self._membership.redis_time / 1000)
        self._heard = boot_time()
        self._held.begin(meta, revision, table)
        self._of_others = revision
        return list(table.routes.values())

    async def close(self, leave: bool = True) -> None:
        """Write the last activity; give up the lease unless a newer release takes it over."""
        if self._state is RedisState.CLOSED:
            return
        before, self._state = self._state, RedisState.CLOSED
        self._reason = "it is closed"
        leaving = partial(self._membership.close, leave and before is not RedisState.NEW)
        last_words = (self._activity.write,) if before is RedisState.SETTLED else ()
        try:
            for task in (self._activity_writer, self._checking):
                if task is not None:
                    task.cancel()
                    await asyncio.wait({task})
            for each in (*last_words, leaving):
                try:
                    await each()
                except StoreError as error:
                    log.warning("%s", error)
        finally:
            await self._client.close()

    # --- changes of ours ---------------------------------------------------------------------

    async def apply(
        self,
        put: Sequence[Route],
        delete: Sequence[str],
        active: Mapping[str, float] = NO_MOMENTS,
        expected: Expected | None = None,
    ) -> Written:
        """Make one change, whole or not at all; identical routes are not written again.

        Raises TableAheadError if the table, or a route, is not as `expected`, and
        StoreUnavailableError, after which it may have happened nevertheless, but will not any more.
        """
        self.check_writable()
        handed_in = self._held.handed_in
        history, known = self.point
        write = TableWrite(
            *(uuid.uuid4().hex, history, self._options.name, put, delete),
            *(known, expected, active, self._options.lease),
        )
        try:
            seconds = CALL + _EACH * (len(put) + len(delete))
            answer = await write.in_time(self._client, self._keys, seconds, self._membership)
        except StoreUnavailableError as error:
            self._go_away(str(error))  # those that come meanwhile need not wait as long
            raise
        if answer[0] == b"stale":
            self._unsettle(_ANOTHER)
            raise StoreUnavailableError(self._reason)
        if answer[0] == b"changed":
            raise TableAheadError(f"the table has changed, it is at revision {answer[1]} now")
        if handed_in != self._held.handed_in:
            raise StoreUnavailableError(f"store: {self._address} was settled meanwhile")
        return self._acknowledged(write, *answer[1:])

    def check_writable(self) -> None:
        """Raise StoreUnavailableError if a change would fail now."""
        if self._state is not RedisState.SETTLED:
            raise StoreUnavailableError(self._reason)
        if self._membership.replaced:
            raise StoreUnavailableError(self._membership.name_taken)

    def _acknowledged(
        self,
        write: TableWrite,
        revision: int,
        moment: int,
        written: int,
        version: bytes,
        *holders: bytes,
    ) -> Written:
        entry = write.entry(revision, int(version), moment / 1000)
        if written and revision > self._held.revision:
            self._held.own[revision] = entry
        self._held.note({route.key: entry.active(route.key) for route in entry.put})
        if not written:
            # It is in no log: the others hear of it as of other activity.
            self.note_activity({route.key: entry.active(route.key) for route in entry.put})
        live = frozenset(name.decode() for name in holders)
        return Written(moment / 1000, revision, bool(written), live)

    def is_sure(self, key: str) -> bool:
        """Whether a stored route is as new as anything that may still be handed in."""
        return 0 < self._held.begun < self._held.table.versions.get(key, 0)

    def apply_at_once(self, put: Sequence[Route], delete: Sequence[str]) -> Written | None:
        """None: Redis has to be waited for."""
        return None

    async def served(self, written: Written) -> tuple[str, ...]:
        """Wait until every live replica serves what was written; return the names of the others.

        At most `replicas.wait` seconds.
        """
        return await self._membership.missing(
            self._held.history, written.revision, written.holders, self._options.wait
        )

    def serves(self, point: Point) -> None:
        """Tell the other replicas that all our workers have every change up to this point."""
        if point[0] == self._held.history:  # of an earlier one nobody needs to hear
            self._membership.serves(*point, self._of_others)

    # --- changes of others -------------------------------------------------------------------

    async def changes(self) -> AsyncGenerator[StoreChange, None]:
        """Yield every change after the latest `load()`, ours too, and others' activity."""
        while True:
            try:
                if self._activity_writer is None:
                    await self._begin()
                elif self._state is not RedisState.SETTLED:
                    # Whoever may begin a history has to find all that are to be waited for.
                    await self._membership.renew()
                if await self._settling.settle(self._held) or not self._held.history:
                    yield StoreChange(0, whole=True)  # it is loaded meanwhile
                self._settled()
                async for change in self._follow():
                    yield change
                await asyncio.sleep(POLL)
            except StoreUnavailableError as error:
                self._go_away(str(error))
                await asyncio.sleep(AGAIN)

    async def _follow(self) -> AsyncGenerator[StoreChange, None]:
        """Yield changes until the table has to be settled or loaded whole."""
        while self._state is RedisState.SETTLED:
            streams = {
                self._keys.log: f"{self._held.revision}-0",
                self._keys.active: self._activity.read_up_to,
            }
            async with self._client.call(BLOCK + CALL) as redis:
                found = await redis.xread(streams, count=500, block=round(BLOCK * 1000))
            silence, self._heard = boot_time() - self._heard, boot_time()
            if silence > SILENCE:
                yield StoreChange(0, active=await self._activity.load_again())
            for name, entries in found:
                of_log = name.decode() == self._keys.log
                for at, fields in entries:
                    hear = self._logged if of_log else self._activity.hear
                    change = hear(at, fields)
                    if change is not None:
                        yield change
                    if self._state is not RedisState.SETTLED or (change and change.whole):
                        return
            if self._check.failed:
                self._check.failed = False
                yield StoreChange(0, whole=True)
                return

    def _logged(self, at: bytes, fields: Mapping[bytes, bytes]) -> StoreChange | None:
        entry = read_entry(at, fields)
        if entry.history != self._held.history:
            self._unsettle(_ANOTHER)
            return None
        if entry.whole:  # too large for the log, but perhaps ours
            entry = self._held.own.get(entry.revision, entry)
        if entry.whole or entry.revision != self._held.revision + 1:
            return StoreChange(0, whole=True)
        self._held.take(entry)
        if entry.writer != self._options.name:
            self._of_others = entry.revision
        moments = {route.key: entry.active(route.key) for route in entry.put}
        return StoreChange(entry.revision, entry.put, entry.delete, moments=moments)

    def _is_settled(self) -> bool:
        return self._state is RedisState.SETTLED

    def _look(self, point: Point, meta: Meta) -> None:
        """Notice by a renewal of our lease that Redis has another table than we follow.

        `point` is what we had followed when it was sent.
        """
        self._is_said = False
        same = self._held.history == point[0]
        if self._state is RedisState.SETTLED and same and not meta.continues(*point):
            self._unsettle(_ANOTHER)

    def _unrenewed(self, error: StoreError) -> None:
        """Say why, if nobody else will: one that takes no writes can be followed."""
        if self._is_settled() and not self._is_said:
            log.warning("%s; our lease cannot be renewed", error)
            self._is_said = True

    def _settled(self) -> None:
        if self._state is RedisState.AWAY:
            log.info(
                "store: %s is back after %.1f s", self._address, time.monotonic() - self._since
            )
        self._state, self._reason = RedisState.SETTLED, ""

    def _unsettle(self, reason: str) -> None:
        self._state, self._reason = RedisState.UNSETTLED, f"store: {self._address}: {reason}"
        log.warning("%s", self._reason)

    def _go_away(self, reason: str) -> None:
        if self._state is not RedisState.AWAY and self._state is not RedisState.CLOSED:
            self._since = time.monotonic()
            log.error("%s; routes cannot be changed until it is back", reason)
            self._state = RedisState.AWAY
        if self._state is RedisState.AWAY:
            self._reason = reason

    # --- activity ----------------------------------------------------------------------------

    def last_activity(self) -> Mapping[str, float]:
        """Return when the loaded routes were last active, on any replica; once."""
        return self._activity.take_loaded()

    def note_activity(self, activity: Mapping[str, float]) -> None:
        """Write it, and tell the others, in the next round, at most five seconds from now."""
        self._activity.note(activity)
