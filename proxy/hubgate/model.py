"""Values that cross a boundary between parts: frozen, without behaviour beyond their own fields."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

_encode = json.JSONEncoder(separators=(",", ":")).encode

HUBS_MARK = "jupyterhub"
"""A hub adds this to the data of its own routes, and deletes no others."""

LAST_ACTIVITY = "last_activity"
"""What the API adds to the data of a route that it shows."""

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a socket listens: a host and a TCP port, or the path of a unix socket.

    `host` "" means all interfaces. `port` 0 lets the kernel choose.
    """

    host: str = ""
    port: int = 0
    path: str | None = None

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host or "*"
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class ServerTLS:
    """A listener's side of TLS. Files are PEM; versions are names of `ssl.TLSVersion`."""

    cert: str
    key: str
    ca: str | None = None
    request_cert: bool = False
    reject_unauthorized: bool = False
    passphrase: str | None = field(default=None, repr=False)
    min_version: str = "TLSv1_2"
    max_version: str | None = None
    ciphers: str | None = None
    dhparam: str | None = None


@dataclass(frozen=True, slots=True)
class ClientTLS:
    """Our side of TLS towards targets. `verify` False accepts any certificate."""

    cert: str | None = None
    key: str | None = None
    ca: str | None = None
    verify: bool = True
    check_hostname: bool = True


@dataclass(frozen=True, slots=True)
class RouteOptions:
    """What a route does to its requests beyond choosing the target."""

    strip_prefix: bool = False
    headers: Headers = ()


# Shared by nearly every route.
NO_OPTIONS = RouteOptions()


class Source(Enum):
    """Where a route comes from, in order of precedence: of two with one key the first is served.

    FILE routes are listed in routes.yaml, API routes were posted.
    """

    FILE = "file"
    API = "api"


class RouteData(Mapping[str, Any]):
    """A JSON object with at least one member, parsed again on each access.

    `text` is ASCII, without white space around it. It takes less memory than a dict, which
    would hold its own keys for each route.
    """

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "RouteData":
        """Return `data`, which must be JSON-serializable and not empty, as text."""
        return data if isinstance(data, RouteData) else cls(_encode(data))

    def __getitem__(self, name: str) -> Any:
        return self._read()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, RouteData):
            return other.text == self.text or self._read() == other._read()
        return isinstance(other, Mapping) and self._read() == dict(other)

    __hash__ = None  # type: ignore[assignment]  # like a dict

    def __repr__(self) -> str:
        return f"RouteData({self.text!r})"

    def _read(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(self.text)
        return data


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the route table.

    `key` is the route's name as the API shows it: `/user/alice`, or with a host in native mode
    `hub.example.org/user/alice` (no leading slash); percent-decoded, without a trailing slash.
    `data` is what was posted, `target` included.
    """

    key: str
    target: str
    data: Mapping[str, Any] = field(default_factory=dict)
    options: RouteOptions = NO_OPTIONS
    source: Source = Source.API

    def __reduce__(self) -> tuple[type["Route"], tuple[object, ...]]:
        # Workers are sent thousands of these without a source, so it costs nothing; and a worker
        # of an older release never receives a source that it does not know.
        if self.source is not Source.API:
            return Route, (self.key, self.target, self.data, self.options, self.source)
        if self.options is NO_OPTIONS and not self.data:
            return Route, (self.key, self.target)
        return Route, (self.key, self.target, self.data, self.options)


@dataclass(frozen=True, slots=True)
class ForwardRules:
    """How requests are matched and rewritten; the names are those of CHP's flags.

    `trusted_peers` are the networks whose X-Forwarded-* headers are trusted; None trusts
    everyone, as CHP does. `native_routes` splits hosts off route keys (`host/path`);
    `host_routing` instead puts the request's host in front of its path, as CHP does.
    """

    x_forward: bool = True
    prepend_path: bool = True
    include_prefix: bool = True
    change_origin: bool = False
    auto_rewrite: bool = False
    protocol_rewrite: str | None = None
    custom_headers: Headers = ()
    host_routing: bool = False
    native_routes: bool = False
    trusted_peers: tuple[str, ...] | None = None
    error_target: str | None = None
    error_path: str | None = None


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds; None waits for ever.

    `head`: from a request's first byte to the end of its headers; `body`: between two reads of
    a request's body; `request`: no byte either way on a client's connection while its request
    is being served (CHP's --timeout); `response`: the target sends nothing (CHP's
    --proxy-timeout); `total`: from a request's head to its response's end, tunnels apart;
    `lookup`: looking up a target's name, before `connect`;
    `ready`: how long a refused connection is retried for a safe request or an upgrade;
    `down`: how long requests to a target that refused are answered without trying it again;
    `upstream_idle` and `upstream_age`: how long a kept-alive connection to a target may be idle,
    and live; `drain_delay`: from being told to stop, when we are no longer ready, to closing the
    public ports; `upgrade`: how long the previous release's workers run on for what is open in
    them.
    """

    head: float = 10.0
    body: float = 60.0
    keep_alive: float = 75.0
    connect: float = 5.0
    ready: float = 1.0
    down: float = 1.0
    request: float | None = None
    response: float | None = None
    total: float | None = None
    drain: float = 10.0
    upstream_idle: float = 60.0
    upstream_age: float = 3600.0
    upgrade: float = 3600.0
    drain_delay: float = 0.0
    # A little more than the 5 s after which resolv.conf, by default, has a lookup try again.
    lookup: float = 6.0


@dataclass(frozen=True, slots=True)
class TcpKeepalive:
    """When the kernel probes whether the other side of a silent TCP connection is still there.

    `idle` and `interval` are whole seconds: before the first probe, and between two; after `count`
    probes without an answer the connection is gone. With `idle` None there are no probes.
    """

    idle: int | None = 60
    interval: int = 15
    count: int = 4


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes and counts, each for one worker; None means no limit.

    `headers` counts a request's header lines; `connections` and `address_connections` those
    open to clients on one port, in total and from one address, `control_connections` and
    `control_address_connections` those on the API's port, and on the metrics'; `route_requests`
    and `route_tunnels` what one route has in flight; `upstream_idle` the connections kept for one
    target.
    """

    request_line: int = 65536
    head: int = 65536
    headers: int = 256
    body: int | None = None
    connections: int | None = 16384
    address_connections: int | None = None
    control_connections: int | None = 1024
    control_address_connections: int | None = None
    route_requests: int | None = 1024
    route_tunnels: int | None = 4096
    upstream_idle: int = 64


STDOUT = "-"
"""Stands for standard output where a path is expected."""


@dataclass(frozen=True, slots=True)
class AccessLogConfig:
    """Where a line for each request goes: the path of a file, or STDOUT.

    `format` is `combined` or `json`. Without a file that is not `required` there are no lines,
    until it can be opened.
    """

    path: str
    format: str = "combined"
    required: bool = True


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """Everything a worker needs besides its sockets and the route table."""

    rules: ForwardRules = ForwardRules()
    timeouts: Timeouts = Timeouts()
    limits: Limits = Limits()
    tls: ServerTLS | None = None
    client_tls: ClientTLS = ClientTLS()
    redirect_to: int | None = None
    log_level: str = "info"
    access_log: AccessLogConfig | None = None
    tcp_keepalive: TcpKeepalive = TcpKeepalive()
    log_format: str = "text"


@dataclass(frozen=True, slots=True)
class ReplicaOptions:
    """How several hubgates share a table; times in seconds.

    `name` is this one's among them ("": made of host and API). A change waits at most `wait` for
    the others; a replica that is not heard of counts as gone after `lease`; when Redis comes back
    with another table, all that hold one have `settle` to say so.
    """

    name: str = ""
    wait: float = 1.0
    lease: float = 6.0
    settle: float = 2.0


@dataclass(frozen=True, slots=True)
class RedisLogin:
    """What authenticates at Redis; files are read at each connection, so that they may change.

    A password itself comes from the environment. `ca` is for `rediss:`, by default the system's.
    """

    password: str | None = field(default=None, repr=False)
    password_file: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)
    sentinel_password_file: str | None = None
    ca: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker has seen since its last report.

    `activity` maps a route's key to its latest activity, seconds since the epoch; `counters`
    maps a metric's name (with the label value after a colon, `requests_proxy:200`) to its
    increase; `connections` and `tunnels` count those open now.
    """

    activity: Mapping[str, float] = field(default_factory=dict)
    counters: Mapping[str, float] = field(default_factory=dict)
    connections: int = 0
    tunnels: int = 0
