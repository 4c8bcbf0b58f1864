"""Which route a request takes, and whether that route accepts one more request."""

from time import perf_counter

from hubgate.bounded import keep
from hubgate.dataplane.counters import Counters
from hubgate.errors import BadTargetError, BusyError, NoRouteError
from hubgate.http1.request import RequestHead
from hubgate.model import Limits
from hubgate.routing.table import RouteEntry, RouteTable
from hubgate.routing.target import Target

Match = tuple[RouteEntry, Target]

# How many matches are remembered, for a host and path of at most this many bytes.
_MOST_KNOWN = 4096
_LONGEST_KNOWN = 256


class Matcher:
    """Finds the route of a request, and remembers it until the table changes."""

    def __init__(self, table: RouteTable, counters: Counters) -> None:
        self._table = table
        self._counters = counters
        self._version = table.version
        self._known: dict[bytes, Match] = {}

    def __repr__(self) -> str:
        return f"<Matcher {len(self._known)} known>"

    def match(self, head: RequestHead, limits: Limits) -> Match:
        """Return the route for a request and its target.

        Raises NoRouteError, BadTargetError if the target is unusable, BusyError if the route has
        as much in flight as it may, BadRequestError if the path cannot be decoded.
        """
        if self._version != self._table.version:
            self._known.clear()
            self._version = self._table.version
        path = head.target.partition(b"?")[0]
        # A host contains no slash, so the joined key is unambiguous.
        key = path if head.host is None else head.host + path
        match = self._known.get(key)
        if match is None:
            match = self._find(head)
            if len(key) <= _LONGEST_KNOWN:
                keep(self._known, key, match, _MOST_KNOWN)
        entry = match[0]
        most = limits.route_requests
        if most is not None and entry.requests >= most:
            raise BusyError(f"route {entry.key} has {entry.requests} requests in flight")
        most = limits.route_tunnels
        if head.upgrade and most is not None and entry.tunnels >= most:
            raise BusyError(f"route {entry.key} has {entry.tunnels} tunnels open")
        return match

    def _find(self, head: RequestHead) -> Match:
        begun = perf_counter()
        host = "" if head.host is None else head.host.decode("latin-1")
        entry = self._table.match(host, head.target.decode("latin-1"))
        self._counters.match_seconds += perf_counter() - begun
        if entry is None:
            raise NoRouteError("no route")
        if entry.target is None:
            raise BadTargetError(f"route {entry.key}: {entry.mistake}")
        return entry, entry.target
