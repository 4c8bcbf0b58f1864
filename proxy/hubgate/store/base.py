"""What the routes service requires of a route store."""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from hubgate.model import Route
from hubgate.store.members import Members

NO_MOMENTS: Mapping[str, float] = {}

Point = tuple[str, int]
"""A history of a shared table, and a revision in it.

Revisions say something only within a history: another one begins when the store has come back with
other data.
"""


@dataclass(frozen=True, slots=True)
class Written:
    """A stored change: its moment, in seconds since the epoch, and its revision.

    Revisions number all changes of a shared store, ours and others', from 1, in the order in
    which the store took them. In a store that only we write to, all are 0. `holders` are the names
    of the replicas that shared the table at that moment.
    """

    moment: float
    revision: int = 0
    changed: bool = True
    holders: frozenset[str] = frozenset()

    @property
    def made(self) -> int:
        """The revision that this change made; 0 if it is that of an earlier one."""
        return self.revision if self.changed else 0


@dataclass(frozen=True, slots=True)
class StoreChange:
    """A change by another writer, as one step: `delete` these keys, then `put` these routes.

    `whole`: anything may have changed, and only `load()` returns the current state. With none
    of these it only means that everything up to `revision` has been delivered.

    `active` is when routes were active, in seconds since the epoch; `moments` is that of routes
    that are put: when the change was made, or before it.
    """

    revision: int
    put: tuple[Route, ...] = ()
    delete: tuple[str, ...] = ()
    whole: bool = False
    active: Mapping[str, float] = field(default_factory=dict)
    moments: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Expected:
    """The revision of a shared table that a change is meant for.

    The `whole` table must be at it; otherwise only the routes of the change must not have been
    changed later, and those that are put and were `there` must still be.
    """

    revision: int
    whole: bool = True
    there: Collection[str] = ()


class RouteStore(Protocol):
    """Keeps the API's routes. Only the routes service calls it, one call at a time.

    Only `changes()` runs concurrently with other calls. Every method raises
    `hubgate.errors.StoreError` when the store fails.
    """

    @property
    def shared(self) -> bool:
        """Whether others write to it too; if so, its content takes precedence over our copy."""

    @property
    def point(self) -> Point:
        """The point of a shared table as loaded or yielded last; ("", 0) if nobody shares it."""

    @property
    def members(self) -> Members | None:
        """Our lease among those who share the store, and the others; None if nobody shares it."""

    @property
    def write_obstacle(self) -> str | None:
        """One word for why changes cannot be stored now, as far as known; None if they can.

        It is what `/_hubgate/ready?writes` says, so a store that has one tries again by itself.
        """

    def check_writable(self) -> None:
        """Raise StoreUnavailableError if it is known already that a change would fail."""

    async def open(self) -> None:
        """Connect and prepare; called once, before anything else."""

    async def load(self) -> list[Route]:
        """Return every stored route, in no particular order.

        Called after `open()`, and again whenever a change is `whole`.
        """

    async def apply(
        self,
        put: Sequence[Route],
        delete: Sequence[str],
        active: Mapping[str, float] = NO_MOMENTS,
        expected: Expected | None = None,
    ) -> Written:
        """Make one change: delete these keys, then store these routes, replacing what is there.

        All of it or nothing, durable when this returns, and no key is in both. Deleting a missing
        route is not an error. A route that is put was last active at the moment returned, or
        earlier if `active` has its key (seconds since the epoch).

        A shared store makes the change only while the table is as `expected`, if that is given;
        otherwise it raises TableAheadError.
        """

    def is_sure(self, key: str) -> bool:
        """Whether nothing older can take the place of a stored route that is as it should be.

        Otherwise it has to be put again.
        """

    def apply_at_once(self, put: Sequence[Route], delete: Sequence[str]) -> Written | None:
        """Make a change of a few routes as `apply` does, if there is nothing to wait for.

        Otherwise nothing is changed, and None returned.
        """

    async def served(self, written: Written) -> tuple[str, ...]:
        """Wait until all who share the store serve what was written; name those who do not yet.

        Called once our own workers do. It waits for a bounded time, and never raises.
        """

    def serves(self, point: Point) -> None:
        """Tell those who share the store that our workers have all changes up to this point."""

    def hand_over(self) -> str:
        """Return what the next release's store needs to know of the routes; "" for nothing."""

    def take_over(self, text: str, routes: Sequence[Route], activity: Mapping[str, float]) -> None:
        """Hold these routes, of which the release before says `text`; called before `open()`."""

    def changes(self) -> AsyncGenerator[StoreChange, None]:
        """Yield the changes since the latest `load()`, for as long as the store is open.

        Guarantees:

        - Every change that `load()` did not include is yielded, once, in the order of revisions.
          Nothing that `load()` included is yielded.
        - Our own calls are yielded like any others: a call that failed may have changed the table
          anyway.
        - A change may be yielded at any time, before or after the return of an `apply` that the
          store took later: the revisions show which was first.
        - A lost connection is reestablished here, without limit, and no change is missed. If one
          may have been missed, or revisions start over, the next change yielded is `whole`.

        It ends if nobody else can write. Raises StoreError when it cannot continue; it may be
        called again after another `load()`. It is closed, or cancelled, before `close()` is
        called.
        """

    def last_activity(self) -> Mapping[str, float]:
        """Return when the loaded routes were last active, by key, as far as known.

        Seconds since the epoch. Called once, after `load()`.
        """

    def note_activity(self, activity: Mapping[str, float]) -> None:
        """Record when these routes were active, in seconds since the epoch; never waits.

        Written periodically, so a crash may lose the latest. Keys without a stored route are
        ignored.
        """

    async def close(self, leave: bool = True) -> None:
        """Close everything; only another `close()`, which does nothing, may follow.

        It is also called for a store that could not be opened. Without `leave`, a newer release
        goes on in our place.
        """


class OwnedStore:
    """The common part of stores that belong to one process: `apply` is what they have to add."""

    @property
    def shared(self) -> bool:
        """False: no other process writes to it."""
        return False

    @property
    def point(self) -> Point:
        """No history: all changes are ours."""
        return "", 0

    @property
    def members(self) -> Members | None:
        """None: nobody shares it."""
        return None

    @property
    def write_obstacle(self) -> str | None:
        """None: nothing is known to prevent a change."""
        return None

    def check_writable(self) -> None:
        """Nothing is known to prevent a change."""

    def hand_over(self) -> str:
        """Return "": the routes are all there is to know."""
        return ""

    def take_over(self, text: str, routes: Sequence[Route], activity: Mapping[str, float]) -> None:
        """Ignore it."""

    async def apply(
        self,
        put: Sequence[Route],
        delete: Sequence[str],
        active: Mapping[str, float] = NO_MOMENTS,
        expected: Expected | None = None,
    ) -> Written:
        """Make one change, whole; see `RouteStore`."""
        raise NotImplementedError

    def is_sure(self, key: str) -> bool:
        """True: nobody else writes to it."""
        return True

    def apply_at_once(self, put: Sequence[Route], delete: Sequence[str]) -> Written | None:
        """None: a disk has to be waited for."""
        return None

    async def put(self, route: Route) -> Written:
        """Store one route, as `apply` does."""
        return await self.apply((route,), ())

    async def delete(self, key: str) -> Written:
        """Delete one route, as `apply` does."""
        return await self.apply((), (key,))

    async def served(self, written: Written) -> tuple[str, ...]:
        """Nobody else has to."""
        return ()

    def serves(self, point: Point) -> None:
        """There is nobody to tell."""

    async def changes(self) -> AsyncGenerator[StoreChange, None]:
        """There are none: it ends at once."""
        return
        yield StoreChange(0)  # makes this an async generator
