"""Routes in this process's memory only: gone when it ends, as with CHP."""

import time
from collections.abc import Mapping

from hubgate.model import Route
from hubgate.store.base import OwnedStore, Written


class MemoryStore(OwnedStore):
    """Keeps routes only as long as the process; the hub adds them again after a restart."""

    def __init__(self) -> None:
        self._routes: dict[str, Route] = {}

    def __repr__(self) -> str:
        return f"<MemoryStore {len(self._routes)} routes>"

    async def open(self) -> None:
        """Nothing to prepare."""

    async def load(self) -> list[Route]:
        """Return every route stored since this object was created."""
        return list(self._routes.values())

    async def put(self, route: Route) -> Written:
        """Store `route`, replacing one with the same key; return when that was."""
        self._routes[route.key] = route
        return Written(time.time())

    async def delete(self, key: str) -> Written:
        """Delete the route with that key; a missing one is not an error."""
        self._routes.pop(key, None)
        return Written(time.time())

    def last_activity(self) -> Mapping[str, float]:
        """Return nothing: what was stored before is gone."""
        return {}

    def note_activity(self, activity: Mapping[str, float]) -> None:
        """Nothing to record."""

    async def close(self, leave: bool = True) -> None:
        """Forget everything."""
        self._routes.clear()
