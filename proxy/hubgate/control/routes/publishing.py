"""What the control plane asks of the workers."""

from collections.abc import Awaitable, Sequence
from typing import Protocol

from hubgate.control.routes.live_table import Difference
from hubgate.model import Route


class Workers(Protocol):
    """What the control plane needs from the workers as a whole."""

    def publish(self, put: Sequence[Route], delete: Sequence[str]) -> Awaitable[None]:
        """Send one change to every live worker now; await the result until all have it."""

    def caught_up(self) -> Awaitable[None]:
        """Await the result until every live worker has every change sent so far."""

    async def collect(self) -> None:
        """Ask every live worker for its report; return when all are in (1 s at most)."""


def publish(workers: Workers, difference: Difference) -> Awaitable[None]:
    """Send a change to the workers now; await the result until they have it, and all before it."""
    if not difference:
        return workers.caught_up()
    return workers.publish(difference.put, difference.delete)
