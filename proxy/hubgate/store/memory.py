"""Routes in this process's memory only: gone when it ends, as with CHP."""

import time
from collections.abc import Mapping, Sequence

from hubgate.model import Route
from hubgate.store.base import NO_MOMENTS, Expected, OwnedStore, Written
from hubgate.tasks import STRIDE, Pace


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

    async def apply(
        self,
        put: Sequence[Route],
        delete: Sequence[str],
        active: Mapping[str, float] = NO_MOMENTS,
        expected: Expected | None = None,
    ) -> Written:
        """Delete and put these; return when that was. Nobody reads the routes meanwhile."""
        pace = Pace()
        for number, key in enumerate(delete):
            self._routes.pop(key, None)
            if not number % STRIDE:
                await pace.turn()
        for number, route in enumerate(put):
            self._routes[route.key] = route
            if not number % STRIDE:
                await pace.turn()
        return Written(time.time())

    def apply_at_once(self, put: Sequence[Route], delete: Sequence[str]) -> Written | None:
        """Delete and put these; return when that was."""
        for key in delete:
            self._routes.pop(key, None)
        self._routes.update((route.key, route) for route in put)
        return Written(time.time())

    def last_activity(self) -> Mapping[str, float]:
        """Return nothing: what was stored before is gone."""
        return {}

    def note_activity(self, activity: Mapping[str, float]) -> None:
        """Nothing to record."""

    async def close(self, leave: bool = True) -> None:
        """Forget everything."""
        self._routes.clear()
