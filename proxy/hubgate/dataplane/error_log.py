"""Logs that stay readable in a storm."""

from collections.abc import Hashable

from hubgate.bounded import BoundedDict

_INTERVAL = 1.0
_MOST_KEYS = 1024


class Sampler:
    """Admits one log line per key and second, and counts the ones it keeps back."""

    def __init__(self) -> None:
        # When the last line was, and how many have been left out since.
        self._seen: BoundedDict[Hashable, list[float]] = BoundedDict(_MOST_KEYS)

    def admit(self, key: Hashable, now: float) -> int | None:
        """Return None for a line to be left out, else how many were left out before it.

        `now` is in seconds of any steady clock.
        """
        seen = self._seen.get(key)
        if seen is None:
            self._seen[key] = [now, 0]
            return 0
        if now - seen[0] < _INTERVAL:
            seen[1] += 1
            return None
        left_out = int(seen[1])
        seen[0], seen[1] = now, 0
        return left_out
