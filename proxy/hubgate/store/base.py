"""What the routes service asks of a route store."""

from collections.abc import Mapping
from typing import Protocol

from hubgate.model import Route


class RouteStore(Protocol):
    """Keeps the API's routes. Only the routes service calls it, one call at a time.

    Every method raises `hubgate.errors.StoreError` when the store cannot do it.
    """

    async def open(self) -> None:
        """Connect and prepare; called once, before anything else."""

    async def load(self) -> list[Route]:
        """Return every stored route, in no particular order."""

    async def put(self, route: Route) -> float:
        """Store `route`, replacing one with the same key; durable when this returns.

        Returns when it was stored, which counts as activity, in seconds since the epoch.
        """

    async def delete(self, key: str) -> None:
        """Forget the route with that key; none is no error."""

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
