"""What the routes service asks of a route store."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Protocol

from hubgate.model import Route


@dataclass(frozen=True, slots=True)
class Written:
    """That a change is stored: the moment, in seconds since the epoch, and its revision.

    Revisions number the changes of a store that others write to as well, whoever makes them,
    from 1 on, in the order in which the store took them. Where nobody else writes, all are 0.
    """

    moment: float
    revision: int = 0


@dataclass(frozen=True, slots=True)
class StoreChange:
    """What somebody else changed, as one step: `delete` these keys, then `put` these routes.

    `whole`: anything may have changed, and only `load()` says what there is now. Without any
    of these it says no more than that everything up to `revision` has come.
    """

    revision: int
    put: tuple[Route, ...] = ()
    delete: tuple[str, ...] = ()
    whole: bool = False


class RouteStore(Protocol):
    """Keeps the API's routes. Only the routes service calls it, one call at a time.

    Only `changes()` goes on beside the other calls. Every method raises
    `hubgate.errors.StoreError` when the store cannot do it.
    """

    @property
    def shared(self) -> bool:
        """Whether others write to it too: then what it holds is right, whatever we remember."""

    async def open(self) -> None:
        """Connect and prepare; called once, before anything else."""

    async def load(self) -> list[Route]:
        """Return every stored route, in no particular order.

        Called after `open()`, and again whenever a change is `whole`.
        """

    async def put(self, route: Route) -> Written:
        """Store `route`, replacing one with the same key; durable when this returns.

        The moment it returns counts as activity.
        """

    async def delete(self, key: str) -> Written:
        """Forget the route with that key; none is no error."""

    def changes(self) -> AsyncGenerator[StoreChange, None]:
        """Yield what others change from the latest `load()` on, for as long as the store is open.

        What may be relied on:

        - Everything that others changed after what `load()` returned comes, once, and in the
          order of its revisions. Nothing comes that `load()` has taken account of.
        - What our own `put` and `delete` returned for does not come. A call that failed may have
          changed the table all the same; then that comes here, like anybody's change.
        - It may come at any time, before or after the return of a `put` or `delete` that the store
          took later: the revisions say which was first.
        - A lost connection is made again here, without end, and no change is missed. Where one
          may have been, or revisions begin anew, the next that comes is `whole`.

        It ends where nobody else can write. Raises StoreError when it cannot go on; called again
        after another `load()`, it may. It is closed, or cancelled, before `close()` is called.
        """

    def last_activity(self) -> Mapping[str, float]:
        """Return when the loaded routes were last active, by key, as far as it is known.

        Seconds since the epoch. Called once, after `load()`.
        """

    def note_activity(self, activity: Mapping[str, float]) -> None:
        """Keep that these routes were active then, seconds since the epoch; never waits.

        Written now and then, so a crash may lose the last of it. Keys of no stored route are
        ignored.
        """

    async def close(self) -> None:
        """Release everything; only another `close()`, which does nothing, is called after it.

        It is called for a store that could not be opened, too.
        """


class OwnedStore:
    """What is true of every store that belongs to one process."""

    @property
    def shared(self) -> bool:
        """Nobody else writes to it."""
        return False

    async def changes(self) -> AsyncGenerator[StoreChange, None]:
        """There are none: it ends at once."""
        return
        yield StoreChange(0)  # for Python to see what kind of function this is
