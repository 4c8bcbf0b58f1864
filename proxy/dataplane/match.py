"""Which route a request takes, and whether that route takes one more request."""

from collections import defaultdict
from time import perf_counter

from proxy.dataplane.request import RequestHead
from proxy.errors import BadTargetError, BusyError, NoRouteError
from proxy.model import Limits
from proxy.routing.table import RouteEntry, RouteTable
from proxy.routing.target import Target

Counters = defaultdict[str | int, float]


def match(
    table: RouteTable, head: RequestHead, limits: Limits, counters: Counters
) -> tuple[RouteEntry, Target]:
    """Return the route for a request and its target; the time it takes is counted.

    Raises NoRouteError, BadTargetError when the target is unusable, BusyError when the route
    has as much in flight as it may, BadRequestError when the path cannot be decoded.
    """
    begun = perf_counter()
    host = "" if head.host is None else head.host.decode("latin-1")
    entry = table.match(host, head.target.decode("latin-1"))
    counters["find_target_for_req_sum"] += perf_counter() - begun
    counters["find_target_for_req_count"] += 1
    if entry is None:
        raise NoRouteError("no route")
    if entry.target is None:
        raise BadTargetError(f"the target of route {entry.key} is not a usable URL")
    if limits.route_requests is not None and entry.requests >= limits.route_requests:
        raise BusyError(f"route {entry.key} has {entry.requests} requests in flight")
    most = limits.route_tunnels
    if head.upgrade and most is not None and entry.tunnels >= most:
        raise BusyError(f"route {entry.key} has {entry.tunnels} tunnels open")
    return entry, entry.target
