"""What a drain could not wait for: counted, and named in one log line."""

import logging
from collections import Counter

from hubgate.dataplane.counters import Counters
from hubgate.routing.table import RouteEntry

log = logging.getLogger("hubgate")

# So many routes are named, those with most of it first.
_MOST_NAMED = 5


class Unfinished:
    """Requests and tunnels that are cut off because the time to end is over."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._kinds: Counter[str] = Counter()
        self._routes: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"<Unfinished {dict(self._kinds)}>"

    def add(self, kind: str, entry: RouteEntry | None) -> None:
        """Count a `request` or a `tunnel`; one that has not found its route has no `entry`."""
        self._counters.cut_off[kind] += 1
        self._kinds[kind] += 1
        if entry is not None:
            self._routes[entry.key] += 1

    def tell(self) -> None:
        """Log how many there were, and on which routes, if there were any."""
        if not self._kinds:
            return
        what = " and ".join(
            f"{count} {kind}{'s' if count > 1 else ''}"
            for kind, count in sorted(self._kinds.items())
        )
        named = [f"{key} ({count})" for key, count in self._routes.most_common(_MOST_NAMED)]
        more = len(self._routes) - len(named)
        named += [f"{more} more route{'s' if more > 1 else ''}"] if more else []
        routes = f": {', '.join(named)}" if named else ""
        log.warning("cut off %s that did not end in time%s", what, routes)
