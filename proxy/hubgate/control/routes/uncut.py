"""Changes that go on when whoever asked for them is gone, and that others' changes do not stop."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

from hubgate.control.routes.change_log import ChangeLog
from hubgate.errors import (
    HubgateError,
    StoreError,
    TableAheadError,
    TableChangedError,
)
from hubgate.tasks import spawn

T = TypeVar("T")

ATTEMPTS = 20
"""Times a change of a shared table is planned again because somebody else was faster."""

# Seconds to wait for what we have not seen of a shared table.
_CATCH_UP = 0.5


async def uncut(change: Coroutine[Any, Any, T]) -> T:
    """Run a change to completion even if the caller is cancelled halfway.

    A route that is in the store but never reached the workers would appear at the next restart.
    """
    outcome = await asyncio.shield(spawn(outcome_of(change), "route change"))
    if isinstance(outcome, HubgateError):
        raise outcome
    return cast(T, outcome)


async def outcome_of(change: Coroutine[Any, Any, T]) -> T | HubgateError:
    """Return what a change returns or raises: a task that ends so is no fault to be logged."""
    try:
        return await change
    except HubgateError as error:
        return error


class UncutChanges:
    """Changes of a table; once more when a shared one has got ahead of what we have seen of it."""

    def __init__(self, log: ChangeLog) -> None:
        self.pending = 0
        self._log = log

    def __repr__(self) -> str:
        return f"<UncutChanges {self.pending} pending>"

    async def make(self, attempt: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Make a change to its end, whatever becomes of the caller."""
        self.pending += 1  # from now on, so that none which comes later overtakes it
        return await uncut(self._make(attempt))

    async def _make(self, attempt: Callable[[], Coroutine[Any, Any, T]]) -> T:
        try:
            for _ in range(ATTEMPTS):
                seen = self._log.revision
                try:
                    return await attempt()
                except TableAheadError:
                    await self._log.wait(seen, _CATCH_UP)
                except StoreError as error:
                    # Who is told so goes on: not before it can no longer arrive.
                    await asyncio.sleep(error.seconds)
                    raise
            raise TableChangedError("others change the table all the time; try again")
        finally:
            self.pending -= 1
