"""Sending changes to the workers, and knowing whether they have all of them."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Protocol

from hubgate.control.routes.live_table import Difference
from hubgate.model import Route


class Workers(Protocol):
    """What the control plane needs from the workers as a whole."""

    def publish(self, put: Sequence[Route], delete: Sequence[str]) -> Awaitable[None]:
        """Send one change to every live worker now; await the result until all have it."""

    async def collect(self) -> None:
        """Ask every live worker for its report; return when all are in (1 s at most)."""


class Publisher:
    """Sends each change to the workers, in the order of the calls."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        # Changes sent to the workers that not all of them have acknowledged.
        self._unacknowledged = 0

    def __repr__(self) -> str:
        return f"<Publisher, {self._unacknowledged} changes unacknowledged>"

    def publish(self, difference: Difference) -> Awaitable[None]:
        """Send a change now; await the result until the workers have it, and all before it."""
        if not difference and not self._unacknowledged:
            return asyncio.sleep(0)
        self._unacknowledged += 1
        return self._acknowledged(self._workers.publish(difference.put, difference.delete))

    async def _acknowledged(self, applied: Awaitable[None]) -> None:
        await applied
        # Not for one whose caller was cancelled: whether it is acknowledged, nobody knows then.
        self._unacknowledged -= 1
