"""Following others' changes in a shared store."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from hubgate.control.routes.live_table import Difference
from hubgate.control.routes.uncut import outcome_of
from hubgate.errors import HubgateError
from hubgate.routing.target import shown
from hubgate.store.base import RouteStore, StoreChange
from hubgate.tasks import spawn

log = logging.getLogger("hubgate.routes")

AGAIN = 1.0
"""Seconds between attempts to follow a store that failed."""

PATIENCE = 5.0
"""Seconds for a change that is being taken when following is stopped."""


class OwnWrites:
    """Our own writes, remembered as long as others' older changes may still arrive."""

    def __init__(self) -> None:
        self._revisions: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._revisions)

    def note(self, key: str, revision: int) -> None:
        """Remember the `revision` of our latest change to `key`, if the store numbers changes."""
        if revision:
            self._revisions[key] = revision

    def forget(self) -> None:
        """Forget all: the whole table was loaded, so nothing older can arrive."""
        self._revisions.clear()

    def newer(self, change: StoreChange) -> StoreChange:
        """Return the part of `change` we have not overtaken; forget our writes up to it."""
        ours = self._revisions
        put = tuple(route for route in change.put if ours.get(route.key, 0) < change.revision)
        delete = tuple(key for key in change.delete if ours.get(key, 0) < change.revision)
        overtaken = {key for key, at in ours.items() if at > change.revision}
        moments = {key: at for key, at in change.moments.items() if key not in overtaken}
        self._revisions = {key: ours[key] for key in overtaken}
        return replace(change, put=put, delete=delete, moments=moments)


class Follower:
    """Passes each change that others make in `store` to `take`, in order, until it is stopped.

    A failure is logged, and the whole table is loaded again as soon as possible.
    """

    def __init__(
        self, store: RouteStore, take: Callable[[StoreChange], Coroutine[Any, Any, None]]
    ) -> None:
        self._store = store
        self._take = take
        self._task: asyncio.Task[None] | None = None
        self._taking: asyncio.Task[HubgateError | None] | None = None
        self._failing = False

    def __repr__(self) -> str:
        running = self._task is not None and not self._task.done()
        state = "failing" if self._failing else "following"
        return f"<Follower {state if running else 'at rest'}>"

    def start(self) -> None:
        """Start following; the store must be loaded already."""
        self._task = spawn(self._run(), "follow store")

    async def stop(self) -> None:
        """Stop, once what the store has told is taken: it counts that as known to us.

        A table that cannot be loaded now is not waited for.
        """
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        if self._taking is not None and not self._taking.done():
            _, late = await asyncio.wait({self._taking}, timeout=PATIENCE)
            for each in late:
                each.cancel()
                await asyncio.wait(late)

    async def _run(self) -> None:
        while True:
            try:
                await self._follow()
                return
            except Exception as error:
                if not self._failing:
                    fault = not isinstance(error, HubgateError)
                    text = "cannot see others' changes in the store; retrying every %g s: %r"
                    log.error(text, AGAIN, error, exc_info=fault)
                self._failing = True
            await asyncio.sleep(AGAIN)

    async def _follow(self) -> None:
        if self._failing:
            # Some changes may have been missed.
            await self._take_uncut(StoreChange(0, whole=True))
            self._failing = False
            log.info("can see others' changes in the store again")
        async with aclosing(self._store.changes()) as changes:
            async for change in changes:
                await self._take_uncut(change)

    async def _take_uncut(self, change: StoreChange) -> None:
        self._taking = spawn(outcome_of(self._take(change)), "change of others")
        if (error := await asyncio.shield(self._taking)) is not None:
            raise error


def tell_of(difference: Difference) -> None:
    """Log what others have changed."""
    match difference:
        case Difference((), ()):
            pass
        case Difference((route,), ()):
            log.info("route added elsewhere: %r -> %r", route.key, shown(route.target))
        case Difference((), (key,)):
            log.info("route removed elsewhere: %r", key)
        case Difference(put, delete):
            log.info("routes changed elsewhere: %d put, %d removed", len(put), len(delete))
