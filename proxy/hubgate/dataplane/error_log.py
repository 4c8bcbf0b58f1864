"""Log lines about requests that went wrong, readable in a storm: one a second of each kind."""

import logging
from collections.abc import Callable, Hashable

from hubgate.bounded import keep
from hubgate.errors import HubgateError
from hubgate.http1.request import RequestHead
from hubgate.routing.table import RouteEntry

log = logging.getLogger("hubgate")

_INTERVAL = 1.0
_MOST_KEYS = 1024


class ErrorLog:
    """Logs errors and dropped connections, sampled by kind and route.

    `clock` is any steady clock, in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._sampler = Sampler()

    def failed(
        self, error: HubgateError, head: RequestHead | None, entry: RouteEntry | None
    ) -> None:
        """Log that a request is answered with an error; `head` is None for an unreadable one."""
        left_out = self._sampler.admit((type(error), entry), self._clock())
        if left_out is not None:
            level = logging.ERROR if error.status >= 500 else logging.WARNING
            _log_line(level, f"{error.status} {_asked(head)} {error}", left_out)

    def dropped(self, why: str, head: RequestHead, entry: RouteEntry | None) -> None:
        """Log that a client's connection is dropped without a response."""
        left_out = self._sampler.admit((why, entry), self._clock())
        if left_out is not None:
            _log_line(logging.WARNING, f"dropped {_asked(head)} {why}", left_out)


class Sampler:
    """Admits one log line per key and second, and counts the ones it holds back."""

    def __init__(self) -> None:
        # When the last line was, and how many have been left out since.
        self._seen: dict[Hashable, list[float]] = {}

    def admit(self, key: Hashable, now: float) -> int | None:
        """Return None for a line to be left out, else how many were left out before it.

        `now` is in seconds of any steady clock.
        """
        seen = self._seen.get(key)
        if seen is None:
            keep(self._seen, key, [now, 0], _MOST_KEYS)
            return 0
        if now - seen[0] < _INTERVAL:
            seen[1] += 1
            return None
        left_out = int(seen[1])
        seen[0], seen[1] = now, 0
        return left_out


def _asked(head: RequestHead | None) -> str:
    """Return a request as it appears in a log line: without its query, which may hold a token."""
    if head is None:
        return "-"
    path = head.target.partition(b"?")[0].decode("latin-1")
    return f"{head.method.decode()} {path}"


def _log_line(level: int, line: str, left_out: int) -> None:
    log.log(level, "%s%s", line, f" (and {left_out} more like it)" if left_out else "")


def log_sampled(sampler: Sampler, key: Hashable, now: float, line: str) -> None:
    """Log an error as a line of its kind, `key`, unless there was one a moment ago."""
    left_out = sampler.admit(key, now)
    if left_out is not None:
        _log_line(logging.ERROR, line, left_out)
