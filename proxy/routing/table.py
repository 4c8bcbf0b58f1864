"""The worker's copy of the route table: who serves which path, and who was active when."""

import time
from collections.abc import Iterable, Mapping

from proxy.errors import RouteError
from proxy.model import ForwardRules, Route
from proxy.routing.paths import match_path
from proxy.routing.target import Target, parse_target
from proxy.routing.trie import Trie


class RouteEntry:
    """One live route. `target` is None when it could not be parsed; `activity` is epoch seconds.

    `segments` is how many path segments the route's prefix has, `headers` the raw header lines
    the route adds to its requests, `requests` and `tunnels` count what is in flight.
    """

    __slots__ = (
        "activity",
        "header_lines",
        "key",
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
        self.header_lines = tuple(
            f"{name}: {value}".encode("latin-1") for name, value in route.options.headers
        )
        self.activity = 0.0
        self.requests = 0
        self.tunnels = 0
        self.target: Target | None
        try:
            self.target = parse_target(route.target)
        except RouteError:
            # CHP takes any string as a target and fails when a request comes; so do we.
            self.target = None

    def __repr__(self) -> str:
        return f"<RouteEntry {self.key} -> {self.target.url if self.target else 'unusable'}>"

    def touch(self) -> None:
        """Note activity now."""
        self.activity = time.time()


class RouteTable:
    """Current routes, matched by host and path; changed only by whole, ordered changes.

    `version` grows with each change.
    """

    def __init__(self, rules: ForwardRules) -> None:
        self._host_routing = rules.host_routing
        self._native = rules.native_routes
        self._paths: Trie[RouteEntry] = Trie()
        self._hosts: Trie[RouteEntry] = Trie()
        self._entries: dict[str, RouteEntry] = {}
        self._hosted = 0
        self.version = 0

    def __len__(self) -> int:
        return len(self._entries)

    def replace(self, routes: Iterable[Route]) -> None:
        """Forget everything and hold `routes`."""
        self._paths, self._hosts, self._entries, self._hosted = Trie(), Trie(), {}, 0
        self.apply(routes, ())

    def apply(self, put: Iterable[Route], delete: Iterable[str]) -> None:
        """Remove the routes with the keys `delete`, then add or replace `put`.

        Open streams hold their own entry and finish undisturbed.
        """
        self.version += 1
        for key in delete:
            if self._entries.pop(key, None) is not None:
                trie, path = self._place(key)
                trie.discard(path)
                self._hosted -= trie is self._hosts
        for route in put:
            trie, path = self._place(route.key)
            entry = RouteEntry(route, len([part for part in path.strip("/").split("/") if part]))
            if trie is self._hosts:
                entry.segments -= 1
            if (old := self._entries.get(route.key)) is not None:
                entry.activity = old.activity
            else:
                self._hosted += trie is self._hosts
            self._entries[route.key] = entry
            trie[path] = entry

    def match(self, host: str, target: str) -> RouteEntry | None:
        """Return the most specific route for a request, or None.

        `host` is the Host header as it came, `target` the raw request target in origin form.
        """
        path = match_path(target)
        if self._hosted:
            # A request without a host must not choose one by its path.
            name = bare_host(host)
            entry = self._hosts.match(f"{name}/{path.lstrip('/')}") if name else None
            if entry is not None or self._host_routing:
                return entry if entry is not None else self._paths.match("/")
        elif self._host_routing:
            return self._paths.match("/")
        return self._paths.match(path)

    def activity_since(self, since: float) -> Mapping[str, float]:
        """Return {key: epoch seconds} of the routes active at or after `since` (epoch seconds)."""
        return {
            key: entry.activity for key, entry in self._entries.items() if entry.activity >= since
        }

    def _place(self, key: str) -> tuple[Trie[RouteEntry], str]:
        """Say where a key lives: among the hosts (lower-cased) or among the plain paths."""
        bare = key.lstrip("/")
        if bare and (self._host_routing or (self._native and not key.startswith("/"))):
            host, slash, path = bare.partition("/")
            return self._hosts, host.lower() + slash + path
        return self._paths, key


def bare_host(host: str) -> str:
    """Return a Host header in lower case without its port: `[::1]:80` becomes `[::1]`."""
    if host.startswith("["):
        return host.partition("]")[0].lower() + "]"
    return host.partition(":")[0].lower().removesuffix(".")
