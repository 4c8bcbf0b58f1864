"""What the routes service requires of a route store."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from hubgate.model import Route

NO_MOMENTS: Mapping[str, float] = {}


@dataclass(frozen=True, slots=True)
class Written:
    """A stored change: its moment, in seconds since the epoch, and its revision.

    Revisions number all changes of a shared store, ours and others', from 1, in the order in
    which the store took them. In a store that only we write to, all are 0.
    """

    moment: float
    revision: int = 0


@dataclass(frozen=True, slots=True)
class StoreChange:
    """A change by another writer, as one step: `delete` these keys, then `put` these routes.

    `whole`: anything may have changed, and only `load()` returns the current state. With none
    of these it only means that everything up to `revision` has been delivered.
    """

    revision: int
    put: tuple[Route, ...] = ()
    delete: tuple[str, ...] = ()
    whole: bool = False


class RouteStore(Protocol):
    """Keeps the API's routes. Only the routes service calls it, one call at a time.

    Only `changes()` runs concurrently with other calls. Every method raises
    `hubgate.errors.StoreError` when the store fails.
    """

    @property
    def shared(self) -> bool:
        """Whether others write to it too; if so, its content takes precedence over our copy."""

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
    ) -> Written:
        """Make one change: delete these keys, then store these routes, replacing what is there.

        All of it or nothing, durable when this returns, and no key is in both. Deleting a missing
        route is not an error. A route that is put was last active at the moment returned, or
        earlier if `active` has its key (seconds since the epoch).
        """

    def changes(self) -> AsyncGenerator[StoreChange, None]:
        """Yield others' changes since the latest `load()`, for as long as the store is open.

        Guarantees:

        - Every change by others that `load()` did not include is yielded, once, in the order of
          revisions. Nothing that `load()` included is yielded.
        - Our own `apply` calls that returned are not yielded. A call that failed may have changed
          the table anyway; then its change is yielded, like any other.
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

    async def close(self) -> None:
        """Close everything; only another `close()`, which does nothing, may follow.

        It is also called for a store that could not be opened.
        """


class OwnedStore:
    """The common part of stores that belong to one process: `apply` is what they have to add."""

    @property
    def shared(self) -> bool:
        """False: no other process writes to it."""
        return False

    async def apply(
        self,
        put: Sequence[Route],
        delete: Sequence[str],
        active: Mapping[str, float] = NO_MOMENTS,
    ) -> Written:
        """Make one change, whole; see `RouteStore`."""
        raise NotImplementedError

    async def put(self, route: Route) -> Written:
        """Store one route, as `apply` does."""
        return await self.apply((route,), ())

    async def delete(self, key: str) -> Written:
        """Delete one route, as `apply` does."""
        return await self.apply((), (key,))

    async def changes(self) -> AsyncGenerator[StoreChange, None]:
        """There are none: it ends at once."""
        return
        yield StoreChange(0)  # makes this an async generator
