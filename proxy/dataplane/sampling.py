"""Logs that stay readable in a storm."""

from collections.abc import Hashable

_INTERVAL = 1.0
_MOST_KEYS = 1024


class Sampler:
    """Admits one log line per key and second, and counts the ones it keeps back."""

    def __init__(self) -> None:
        self._seen: dict[Hashable, tuple[float, int]] = {}

    def admit(self, key: Hashable, now: float) -> int | None:
        """Return None for a line to be left out, else how many were left out before it.

        `now` is in seconds of any steady clock.
        """
        last, left_out = self._seen.get(key, (now - _INTERVAL, 0))
        if now - last < _INTERVAL:
            self._seen[key] = (last, left_out + 1)
            return None
        if len(self._seen) >= _MOST_KEYS:
            self._seen.clear()
        self._seen[key] = (now, 0)
        return left_out
