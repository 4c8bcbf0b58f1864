"""The rows of the table: what is measured, in which unit, and the goal for hubgate."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

HUBGATE = "hubgate"
# Another checkout of hubgate, to compare with this one.
BEFORE = "before"
ORDER = (HUBGATE, BEFORE, "CHP", "Caddy", "nginx", "HAProxy")


@dataclass(frozen=True)
class Wanted:
    """The largest acceptable ratio of hubgate's figure to that of the contender `of`.

    With `row`, the ratio is to hubgate's own figure in that row, or that of `whose`, and the page
    calls it `of`.
    """

    ratio: float
    of: str
    row: str = ""
    whose: str = HUBGATE


@dataclass(frozen=True)
class Row:
    """`key` names the row in the results, `name` on the page; smaller is always better.

    `most` is the largest acceptable figure for hubgate. `name` may show counts of the run's scale.
    """

    key: str
    name: str
    unit: str
    wanted: tuple[Wanted, ...] = ()
    most: float | None = None

    def title(self, scale: Mapping[str, Any]) -> str:
        """Return the name with the counts of `scale` filled in."""
        return self.name.format_map(scale)


def _of(**ratios: float) -> tuple[Wanted, ...]:
    return tuple(Wanted(ratio, name) for name, ratio in ratios.items())


TRAFFIC = (
    Row("small", "small GET, browser headers, keep-alive, 32 connections", "µs",
        _of(CHP=1 / 6, Caddy=1 / 2, nginx=2)),
    Row("unlike", "small GET, every request and response different", "µs"),
    Row("many", "small GET, 512 connections", "µs"),
    Row("page", "64 KiB page", "µs", _of(CHP=1 / 5, nginx=1)),
    Row("connect", "new connection per request", "µs", _of(CHP=1 / 5, Caddy=1)),
    Row("upload", "64 KiB upload", "µs", _of(CHP=1 / 4, nginx=1.5)),
    Row("download", "download of 1 GiB", "s", _of(Caddy=1)),
    Row("ws-small", "websocket round trip, 256 B", "µs", _of(nginx=1.1)),
    Row("ws-large", "websocket round trip, 64 KiB", "µs", _of(Caddy=1)),
    Row("down", "503 for a target that is down", "µs",
        (Wanted(1 / 2, "a proxied request", "small"),)),
    Row("tls", "small GET over TLS", "µs", _of(CHP=1 / 5, nginx=2)),
)  # fmt: skip
OPTIONS = (
    Row("plain", "small GET, baseline for the next two rows", "µs"),
    Row("metrics", "small GET, metrics on and scraped once a second", "µs"),
    Row("access-log", "small GET, with access logs", "µs", (Wanted(1.15, "without", "plain"),)),
    Row("workers-1", "small GET, 64 connections, 1 worker", "µs"),
    Row("workers-2", "small GET, 64 connections, 2 workers on the same core", "µs"),
    Row("workers-4", "small GET, 64 connections, 4 workers on the same core", "µs"),
)
MEMORY = (
    Row("memory-base", "memory after start", "MiB"),
    Row("memory-worker", "memory per additional worker", "MiB"),
    Row("memory-connection", "memory per idle keep-alive connection, {idle:,} more", "KiB"),
    Row("memory-tunnel", "memory per idle tunnel, {idle:,} more", "KiB", most=12),
    Row("memory-tunnels", "memory per idle tunnel, {tunnels:,} open", "KiB", most=12),
    Row("memory-all", "memory with {tunnels:,} idle tunnels open", "MiB"),
)
LATENCY = (
    Row("p99-alone", "99th percentile of a small GET, alone", "ms"),
    Row("p99-crowd", "99th percentile of a small GET, beside {crowd_tunnels:,} idle tunnels and "
        "{crowd_heads:,} slow heads", "ms", (Wanted(3, "alone", "p99-alone"),)),
    Row("first-byte", "small GET, median, beside {readers} slow readers", "ms"),
)  # fmt: skip
TABLES = (
    Row("routes-few", "small GET, one route in the table", "µs"),
    Row("routes-many", "small GET, {routes:,} routes in the table", "µs"),
    Row("memory-route", "memory per route, {routes:,} routes", "bytes"),
    Row("list", "listing {routes:,} routes", "ms", _of(CHP=1)),
    Row("cpu-list", "listing {routes:,} routes, CPU time", "ms"),
    Row("p99-table", "99th percentile of a small GET, {routes:,} routes", "ms"),
    Row("p99-list", "99th percentile of a small GET during listing", "ms"),
    Row("p99-add", "99th percentile of a small GET while routes are added and removed", "ms"),
    Row("add-1", "adding a route, 1 at a time", "ms", _of(CHP=2)),
    Row("add-50", "adding a route, 50 at a time", "ms", _of(CHP=2)),
    Row("add-python", "adding a route, 1 at a time, by Python's http.client", "ms", _of(CHP=2)),
    Row("cpu-add-1", "adding a route, 1 at a time, CPU time", "µs"),
    Row("cpu-add-50", "adding a route, 50 at a time, CPU time", "µs"),
    Row("remove-1", "removing a route, 1 at a time", "ms"),
    Row("remove-50", "removing a route, 50 at a time", "ms"),
    *(
        row
        for key, where in (("w2", "2 workers"), ("sqlite", "SQLite"), ("redis", "Redis"),
                           ("redis-3", "Redis, 3 replicas"))
        for row in (
            Row(f"add-1-{key}", f"adding a route, 1 at a time: {where}", "ms",
                (Wanted(12, "CHP in memory", "add-1", "CHP"),) if key == "redis-3" else ()),
            Row(f"add-50-{key}", f"adding a route, 50 at a time: {where}", "ms"),
            Row(f"cpu-add-1-{key}", f"adding a route, 1 at a time, CPU time: {where}", "µs"),
            Row(f"cpu-add-50-{key}", f"adding a route, 50 at a time, CPU time: {where}", "µs"),
            Row(f"remove-1-{key}", f"removing a route, 1 at a time: {where}", "ms"),
            Row(f"remove-50-{key}", f"removing a route, 50 at a time: {where}", "ms"),
        )
    ),
    Row("put-500", "adding 500 routes by one PUT", "ms", (Wanted(10, "adding one", "add-1"),)),
    Row("put-500-w2", "adding 500 routes by one PUT: 2 workers", "ms",
        (Wanted(10, "adding one", "add-1-w2"),)),
    Row("put-500-sqlite", "adding 500 routes by one PUT: SQLite", "ms",
        (Wanted(10, "adding one", "add-1-sqlite"),)),
    Row("put-500-redis", "adding 500 routes by one PUT: Redis", "ms",
        (Wanted(10, "adding one", "add-1-redis"),)),
    Row("put-500-redis-3", "adding 500 routes by one PUT: Redis, 3 replicas", "ms",
        (Wanted(10, "adding one", "add-1-redis-3"),)),
    Row("replaced", "from SIGKILL of the worker to the first response", "ms"),
    Row("replaced-many", "from SIGKILL of the worker to the first response, {routes:,} routes",
        "ms"),
)  # fmt: skip
ROWS = {row.key: row for row in (*TRAFFIC, *OPTIONS, *MEMORY, *LATENCY, *TABLES)}
