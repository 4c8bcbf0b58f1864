"""What the routes service asks of a route store."""

from typing import Protocol

from proxy.model import Route


class RouteStore(Protocol):
    """Keeps the API's routes. Only the routes service calls it, one call at a time.

    Every method raises `proxy.errors.StoreError` when the store cannot do it.
    """

    async def open(self) -> None:
        """Connect and prepare; called once, before anything else."""

    async def load(self) -> list[Route]:
        """Return every stored route, in no particular order."""

    async def put(self, route: Route) -> None:
        """Store `route`, replacing one with the same key; durable when this returns."""

    async def delete(self, key: str) -> None:
        """Forget the route with that key; none is no error."""

    async def close(self) -> None:
        """Release everything; nothing is called after it."""
