"""The worker's copy of the route table: which target serves which path, and route activity."""

import time
from collections.abc import Iterable, Mapping
from functools import lru_cache

from hubgate.errors import RouteError
from hubgate.model import NO_OPTIONS, ForwardRules, Headers, Route
from hubgate.routing.keys import SUBDOMAINS, clean_path
from hubgate.routing.paths import match_path
from hubgate.routing.target import Target, parse_target
from hubgate.routing.trie import Trie

# No name is longer (RFC 1035, section 2.3.4), and nothing longer is worth remembering, or looking
# for the domains that it is in.
_LONGEST_NAME = 255


class RouteEntry:
    """One live route. `target` is None when it cannot be used, because of its `mistake`.

    `activity` is when it was last active, in epoch seconds, or 0 if not since the last report.

    `segments` is how many path segments the route's prefix has, `header_lines` are the raw lines
    the route adds to its requests, `requests` and `tunnels` count what is in flight.
    """

    __slots__ = (
        "activity",
        "header_lines",
        "key",
        "mistake",
        "requests",
        "segments",
        "strip_prefix",
        "target",
        "tunnels",
    )

    def __init__(self, route: Route, segments: int) -> None:
        self.key = route.key
        self.segments = segments
        self.strip_prefix = route.options.strip_prefix
        self.header_lines = header_lines(route.options.headers)
        self.activity = 0.0
        self.requests = 0
        self.tunnels = 0
        self.target: Target | None
        self.mistake = ""
        try:
            self.target = parse_target(route.target)
        except RouteError as error:
            # From the store of an earlier release, which took any string, as CHP does.
            self.target, self.mistake = None, str(error)

    def __repr__(self) -> str:
        return f"<RouteEntry {self.key} -> {self.target.url if self.target else 'unusable'}>"

    def touch(self) -> None:
        """Note activity now."""
        self.activity = time.time()


# For most of a large hub's routes, a worker never sees a request. Until it does, a route is just
# its target if there is nothing more to it than that and its key; else it is the Route as it came.
_Place = RouteEntry | Route | str


class RouteTable:
    """Current routes, matched by host and path; they change only in whole, ordered steps.

    A request's own host comes before the domains it is in, the smallest first, and these before
    routes for any host. `version` grows with each change.
    """

    def __init__(self, rules: ForwardRules) -> None:
        self._host_routing = rules.host_routing
        self._native = rules.native_routes
        self._paths: Trie[_Place] = Trie()
        self._hosts: Trie[_Place] = Trie()
        # By the host without the dot in front.
        self._domains: Trie[_Place] = Trie()
        self._entries: dict[str, RouteEntry] = {}
        self._by_host = rules.host_routing
        self._by_domain = False
        self.version = 0

    def __len__(self) -> int:
        return len(self._paths) + len(self._hosts) + len(self._domains)

    def replace(self, routes: Iterable[Route], targets: dict[str, str] | None = None) -> None:
        """Replace everything with `routes`, and routes without options to `targets`, by key.

        `targets` is emptied on the way: freeing a large dict later would not return its memory.
        """
        self._paths, self._hosts, self._domains, self._entries = Trie(), Trie(), Trie(), {}
        while targets:
            key, target = targets.popitem()
            places, path = self._place(key)
            places[path] = target if path == key else Route(key, target)
        self.apply(routes, ())

    def apply(self, put: Iterable[Route], delete: Iterable[str]) -> None:
        """Remove the routes with the keys `delete`, then add or replace `put`.

        Open streams hold their own entry and finish undisturbed.
        """
        self.version += 1
        for key in delete:
            self._entries.pop(key, None)
            places, path = self._place(key)
            if _key(path, places.get(path)) == key:
                places.discard(path)
        for route in put:
            places, path = self._place(route.key)
            bare = path == route.key and route.options == NO_OPTIONS
            places[path] = route.target if bare else route
            if (old := self._entries.get(route.key)) is not None:
                self._enter(places, path).activity = old.activity
        self._by_domain = len(self._domains) > 0
        self._by_host = self._host_routing or self._by_domain or len(self._hosts) > 0

    def match(self, host: str, target: str) -> RouteEntry | None:
        """Return the most specific route for a request, or None.

        `host` is the Host header as it came, `target` the raw request target in origin form.
        """
        path = target.partition("?")[0] if "?" in target else target
        if "%" in path or "#" in path:
            path = match_path(path)
        if self._by_host:
            return self._match_hosted(host, path)
        found = self._paths.match(path)
        return found if type(found) is RouteEntry else self._first_match(self._paths, path)

    def _match_hosted(self, host: str, path: str) -> RouteEntry | None:
        # A request without a host must not choose one by its path.
        name = bare_host(host)
        if name:
            hosted = f"/{name}/{path.lstrip('/')}"
            found = self._hosts.match(hosted)
            if type(found) is RouteEntry:
                return found
            if found is not None:
                return self._first_match(self._hosts, hosted)
            if self._by_domain and (entry := self._match_domain(name, path)) is not None:
                return entry
        if self._host_routing:
            path = "/"
        found = self._paths.match(path)
        return found if type(found) is RouteEntry else self._first_match(self._paths, path)

    def _match_domain(self, name: str, path: str) -> RouteEntry | None:
        """Return the route of the smallest domain with one for `path` that `name` is in."""
        if len(name) > _LONGEST_NAME:
            return None  # a host made of dots must not cost a lookup for each
        while name:
            if self._domains.begins(name):
                hosted = f"/{name}/{path.lstrip('/')}"
                found = self._domains.match(hosted)
                if type(found) is RouteEntry:
                    return found
                if found is not None:
                    return self._first_match(self._domains, hosted)
            name = name.partition(".")[2]
        return None

    def take_activity(self) -> Mapping[str, float]:
        """Return {key: epoch seconds} of the routes active since the last call.

        Never a time in the future: the clock may have been put back meanwhile. For the same reason
        what has been returned is forgotten, instead of being compared with when that was.
        """
        now, active = time.time(), {}
        for key, entry in self._entries.items():
            if entry.activity:
                active[key] = min(entry.activity, now)
                entry.activity = 0.0
        return active

    def _first_match(self, places: Trie[_Place], path: str) -> RouteEntry | None:
        place = places.longest(path)
        return None if place is None else self._enter(places, place)

    def _enter(self, places: Trie[_Place], path: str) -> RouteEntry:
        """Create the entry of the route at `path`, which has none yet."""
        found = places.get(path)
        assert found is not None and not isinstance(found, RouteEntry)  # noqa: PT018
        route = Route(path, found) if isinstance(found, str) else found
        segments = len([part for part in path.split("/") if part]) - (places is not self._paths)
        entry = places[path] = self._entries[route.key] = RouteEntry(route, segments)
        return entry

    def _place(self, key: str) -> tuple[Trie[_Place], str]:
        """Return where a key lives: among the domains, hosts (lower-cased) or paths of any host."""
        if self._native and key.startswith(SUBDOMAINS):
            return self._domains, clean_path(key.removeprefix(SUBDOMAINS))
        hosted = self._host_routing or (self._native and not key.startswith("/"))
        if hosted and (bare := key.lstrip("/")):
            host, slash, path = bare.partition("/")
            return self._hosts, clean_path(host.lower() + slash + path)
        return self._paths, clean_path(key)


def header_lines(headers: Headers) -> tuple[bytes, ...]:
    """Encode configured headers as raw header lines."""
    return tuple(f"{name}: {value}".encode("latin-1") for name, value in headers)


def _key(path: str, place: _Place | None) -> str | None:
    """Return the key of the route at `path`."""
    if place is None:
        return None
    return path if isinstance(place, str) else place.key


def bare_host(host: str) -> str:
    """Return a Host header in lower case without its port: `[::1]:80` becomes `[::1]`."""
    return _known_bare_host(host) if len(host) <= _LONGEST_NAME else _bare_host(host)


def _bare_host(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0].lower() + "]"
    return host.partition(":")[0].lower().removesuffix(".")


_known_bare_host = lru_cache(1024)(_bare_host)
