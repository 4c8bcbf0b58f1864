"""Time limits of one request, on one timer."""

import asyncio
from collections.abc import Callable
from enum import Enum

from hubgate.model import Timeouts


class Expired(Enum):
    """Which limit has passed."""

    RESPONSE = "the target sent nothing for too long"
    REQUEST = "no data moved on the client's connection for too long"
    TOTAL = "the request took too long"


class TimeLimits:
    """Calls `on_expired` when a configured limit passes; costs nothing until it is armed.

    `moved` records traffic and never touches the timer, which checks when it fires and sets
    itself again.
    """

    __slots__ = ("_client", "_handle", "_loop", "_on_expired", "_started", "_timeouts", "_upstream")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        timeouts: Timeouts,
        on_expired: Callable[[Expired], None],
    ) -> None:
        self._loop = loop
        self._timeouts = timeouts
        self._on_expired = on_expired
        self._started = self._upstream = self._client = loop.time()
        self._handle = loop.call_at(self._due()[0], self._fire)

    def moved(self) -> None:
        """The target sent something, or the client did: a target being sent a body is busy."""
        self._upstream = self._client = self._loop.time()

    def renew(self) -> None:
        """Go on after Expired.RESPONSE: the target was not to blame."""
        self._upstream = self._loop.time()
        self._handle = self._loop.call_at(self._due()[0], self._fire)

    def cancel(self) -> None:
        """The request is over."""
        self._handle.cancel()

    def _due(self) -> tuple[float, Expired]:
        timeouts = self._timeouts
        limits = (
            (self._upstream, timeouts.response, Expired.RESPONSE),
            (self._client, timeouts.request, Expired.REQUEST),
            (self._started, timeouts.total, Expired.TOTAL),
        )
        return min(
            ((start + limit, kind) for start, limit, kind in limits if limit is not None),
            key=lambda due: due[0],
        )

    def _fire(self) -> None:
        due, kind = self._due()
        if self._loop.time() < due:
            self._handle = self._loop.call_at(due, self._fire)
        else:
            self._on_expired(kind)


def any_time_limit(timeouts: Timeouts) -> bool:
    """Return whether any limit is configured that TimeLimits must watch."""
    return (timeouts.response, timeouts.request, timeouts.total) != (None, None, None)
