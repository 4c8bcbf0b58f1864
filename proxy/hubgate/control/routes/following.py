"""Following what others change in a shared store."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace

from hubgate.errors import HubgateError
from hubgate.store.base import RouteStore, StoreChange
from hubgate.tasks import spawn

log = logging.getLogger("hubgate.routes")

AGAIN = 5.0
"""Seconds between attempts to follow a store that failed."""


class OwnWrites:
    """What we wrote ourselves, for as long as older changes of others may still come."""

    def __init__(self) -> None:
        self._revisions: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._revisions)

    def note(self, key: str, revision: int) -> None:
        """Remember that the store took our latest change of `key` as `revision`, if it counts."""
        if revision:
            self._revisions[key] = revision

    def forget(self) -> None:
        """Nothing older can come: the whole table was loaded."""
        self._revisions.clear()

    def newer(self, change: StoreChange) -> StoreChange:
        """Return what of `change` we have not overtaken; what lies before it is forgotten."""
        ours = self._revisions
        put = tuple(route for route in change.put if ours.get(route.key, 0) < change.revision)
        delete = tuple(key for key in change.delete if ours.get(key, 0) < change.revision)
        self._revisions = {key: at for key, at in ours.items() if at > change.revision}
        return replace(change, put=put, delete=delete)


class Follower:
    """Gives each change that others make in `store` to `take`, in order, until it is stopped.

    A failure is logged, and the whole table is taken again as soon as that works.
    """

    def __init__(self, store: RouteStore, take: Callable[[StoreChange], Awaitable[None]]) -> None:
        self._store = store
        self._take = take
        self._task: asyncio.Task[None] | None = None
        self._failing = False

    def __repr__(self) -> str:
        running = self._task is not None and not self._task.done()
        state = "failing" if self._failing else "following"
        return f"<Follower {state if running else 'at rest'}>"

    def start(self) -> None:
        """Begin to follow; the store has been loaded."""
        self._task = spawn(self._run(), "follow store")

    async def stop(self) -> None:
        """End; a change that is being taken is not taken any more, or is already."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        while True:
            try:
                await self._follow()
                return
            except Exception as error:
                if not self._failing:
                    fault = not isinstance(error, HubgateError)
                    text = "what others change in the store is not seen; asked again every %g s: %r"
                    log.error(text, AGAIN, error, exc_info=fault)
                self._failing = True
            await asyncio.sleep(AGAIN)

    async def _follow(self) -> None:
        if self._failing:
            # Some changes may be lost.
            await self._take(StoreChange(0, whole=True))
            self._failing = False
            log.info("what others change in the store is seen again")
        async with aclosing(self._store.changes()) as changes:
            async for change in changes:
                await self._take(change)
