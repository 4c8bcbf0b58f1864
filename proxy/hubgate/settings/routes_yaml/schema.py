"""The schema of routes.yaml: its keys and their values."""

from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

from hubgate.model import Limits, ReplicaOptions, TcpKeepalive, Timeouts
from hubgate.routing.keys import split_key
from hubgate.routing.scope import EVERYTHING, Scope
from hubgate.settings.checks import LogFormat, MainLogFormat, Scheme
from hubgate.settings.routes_yaml.fields import (
    PRIVATE_NETWORKS,
    ByteCount,
    Count,
    CountOrZero,
    FilePath,
    HeadBytes,
    HeaderPairs,
    HostNameList,
    Hosts,
    LogLevel,
    LogPath,
    Networks,
    Port,
    ProbeCount,
    ReplicaLease,
    ReplicaName,
    ReplicaSettle,
    ReplicaWait,
    ScopeText,
    Seconds,
    SecondsOrZero,
    SocketPath,
    Store,
    Switch,
    TargetURL,
    Text,
    TokenName,
    WholeSeconds,
    Workers,
)
from hubgate.settings.setting import Place

# Unquoted, YAML reads a version as a number.
Version = Annotated[
    Literal["1.2", "1.3"], BeforeValidator(lambda value: str(value) if value else value)
]


TIMES, SIZES, PROBES, REPLICAS = Timeouts(), Limits(), TcpKeepalive(), ReplicaOptions()


class ClashError(ValueError):
    """Some `keys` of a section do not go together."""

    def __init__(self, text: str, *keys: str) -> None:
        super().__init__(text)
        self.keys = keys


class Section(BaseModel):
    """A mapping with known keys; `example` shows how it is written."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    example: ClassVar[str] = "{...}"


class TLSSection(Section):
    """The certificate a listener presents, and what it asks of clients."""

    example: ClassVar[str] = "{cert: certs/hub.pem, key: certs/hub-key.pem}"
    cert: FilePath
    key: FilePath
    ca: FilePath | None = None
    client_certificates: Literal["ignore", "request", "require"] = "ignore"
    min_version: Version = "1.2"
    ciphers: Text | None = None
    dhparam: FilePath | None = None

    @model_validator(mode="after")
    def _needs_authority(self) -> "TLSSection":
        if self.client_certificates != "ignore" and self.ca is None:
            raise ClashError(
                "client_certificates needs ca; give a file of CA certificates",
                "client_certificates",
            )
        return self


class PlaceSection(Section):
    """Where to listen: host and port, or a unix socket."""

    example: ClassVar[str] = "{port: 8000}"
    host: Hosts | None = None
    port: Port | None = None
    socket: SocketPath | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> "PlaceSection":
        if self.socket is not None and (self.host is not None or self.port is not None):
            raise ClashError(
                "has both a socket and a host or port; keep one", "socket", "host", "port"
            )
        return self


class ListenSection(PlaceSection):
    """The public side."""

    tls: TLSSection | None = None
    no_ssl: Switch = False
    redirect_port: Port | None = None
    redirect_to: Port | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> "ListenSection":
        if self.tls is not None and self.no_ssl:
            raise ClashError("has both tls and no_ssl; keep one", "tls", "no_ssl")
        if self.redirect_port is not None and self.tls is None:
            raise ClashError(
                "redirect_port needs tls: without it there is nothing to redirect to",
                "redirect_port",
            )
        if self.redirect_to is not None and self.redirect_port is None:
            raise ClashError(
                "redirect_to needs redirect_port; write both or neither", "redirect_to"
            )
        if self.redirect_port is not None and self.socket and not self.redirect_to:
            raise ClashError(
                "redirect_port needs redirect_to: a socket has no port", "redirect_port"
            )
        return self


class TokenSection(Section):
    """One of several tokens of the API; without a scope it is for everything."""

    example: ClassVar[str] = "{name: hub-a, file: a.token, scope: hub-a.example.org/}"
    name: TokenName
    file: FilePath
    scope: ScopeText | None = None
    host_routing: Switch = False

    @model_validator(mode="after")
    def _has_hosts(self) -> "TokenSection":
        if self.host_routing and not self.what.host:
            raise ClashError(
                "host_routing needs a scope with the hub's host, such as hub-a.example.org/",
                "host_routing",
            )
        return self

    @property
    def what(self) -> Scope:
        """The scope itself."""
        if self.scope is None:
            return EVERYTHING
        return Scope(*split_key(self.scope), self.host_routing)


class APISection(PlaceSection):
    """The REST API that changes routes."""

    example: ClassVar[str] = "{port: 8001}"
    token_file: FilePath | None = None
    tokens: tuple[TokenSection, ...] = ()
    open: Switch = False
    hosts: HostNameList = ()
    tls: TLSSection | None = None

    @model_validator(mode="after")
    def _one_way_in(self) -> "APISection":
        if self.open and self.token_file is not None:
            raise ClashError("has both open and a token_file; keep one", "open", "token_file")
        if self.open and self.tokens:
            raise ClashError("has both open and tokens; keep one", "open", "tokens")
        return self


class MetricsSection(PlaceSection):
    """Prometheus metrics; off unless a port or socket is given."""

    example: ClassVar[str] = "{port: 8002}"

    @model_validator(mode="after")
    def _has_place(self) -> "MetricsSection":
        if self.port is None and self.socket is None:
            raise ValueError("has no port and no socket; write {port: 8002}, or drop metrics")
        return self


class HealthSection(PlaceSection):
    """The pages for a balancer's checks, on a port of their own beside the API's."""

    example: ClassVar[str] = "{port: 8003}"

    @model_validator(mode="after")
    def _has_place(self) -> "HealthSection":
        if self.port is None and self.socket is None:
            raise ValueError("has no port and no socket; write {port: 8003}, or drop health")
        return self


class TimesSection(Section):
    """Seconds; null means no timeout, where that makes sense. See `hubgate.model.Timeouts`."""

    example: ClassVar[str] = "{keep_alive: 75}"
    head: Seconds = TIMES.head
    body: Seconds = TIMES.body
    keep_alive: Seconds = TIMES.keep_alive
    lookup: Seconds = TIMES.lookup
    connect: Seconds = TIMES.connect
    ready: SecondsOrZero = TIMES.ready
    down: SecondsOrZero = TIMES.down
    request: Seconds | None = TIMES.request
    response: Seconds | None = TIMES.response
    total: Seconds | None = TIMES.total
    drain: Seconds = TIMES.drain
    drain_delay: SecondsOrZero = TIMES.drain_delay
    upstream_idle: Seconds = TIMES.upstream_idle
    upstream_age: Seconds = TIMES.upstream_age
    upgrade: Seconds = TIMES.upgrade


class SizesSection(Section):
    """Bytes and counts; null means no limit, where that makes sense. See `hubgate.model.Limits`."""

    example: ClassVar[str] = "{head: 65536}"
    request_line: HeadBytes = SIZES.request_line
    head: HeadBytes = SIZES.head
    headers: Count = SIZES.headers
    body: ByteCount | None = SIZES.body
    connections: Count | None = SIZES.connections
    address_connections: Count | None = SIZES.address_connections
    control_connections: Count | None = SIZES.control_connections
    control_address_connections: Count | None = SIZES.control_address_connections
    route_requests: Count | None = SIZES.route_requests
    route_tunnels: Count | None = SIZES.route_tunnels
    upstream_idle: CountOrZero = SIZES.upstream_idle


class KeepaliveSection(Section):
    """TCP keepalive, towards clients and targets; null for `idle` means none."""

    example: ClassVar[str] = "{idle: 60, interval: 15, count: 4}"
    idle: WholeSeconds | None = PROBES.idle
    interval: WholeSeconds = PROBES.interval
    count: ProbeCount = PROBES.count


class ForwardSection(Section):
    """How requests are matched and rewritten; the names are those of CHP's flags."""

    example: ClassVar[str] = "{change_origin: true}"
    x_forward: Switch = True
    prepend_path: Switch = True
    include_prefix: Switch = True
    change_origin: Switch = False
    auto_rewrite: Switch = False
    protocol_rewrite: Scheme | None = None
    headers: HeaderPairs = ()
    host_routing: Switch = False
    trusted_peers: Networks = PRIVATE_NETWORKS
    error_target: TargetURL | None = None
    error_path: FilePath | None = None

    @model_validator(mode="after")
    def _one_source(self) -> "ForwardSection":
        if self.error_target is not None and self.error_path is not None:
            raise ClashError(
                "has both error_target and error_path; keep one", "error_target", "error_path"
            )
        return self


class UpstreamTLSSection(Section):
    """TLS with https targets."""

    example: ClassVar[str] = "{ca: certs/ca.pem}"
    ca: FilePath | None = None
    cert: FilePath | None = None
    key: FilePath | None = None
    verify: Switch = True
    check_hostname: Switch = True

    @model_validator(mode="after")
    def _pair(self) -> "UpstreamTLSSection":
        if (self.cert is None) != (self.key is None):
            raise ValueError("has only one of cert and key; write both or neither")
        return self


class UpstreamSection(Section):
    """How to reach the targets."""

    example: ClassVar[str] = "{tls: {ca: certs/ca.pem}}"
    tls: UpstreamTLSSection = UpstreamTLSSection()


class AccessLogSection(Section):
    """The log of requests; a bare path is short for it, `-` is standard output."""

    example: ClassVar[str] = "logs/access.log or {path: logs/access.log, format: json}"
    path: LogPath
    format: LogFormat = "combined"

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value


class RedisSection(Section):
    """What authenticates at the Redis of `store`, and who has signed its certificate."""

    example: ClassVar[str] = "{password_file: redis.password}"
    password_file: FilePath | None = None
    sentinel_password_file: FilePath | None = None
    ca: FilePath | None = None


class ReplicasSection(Section):
    """How this hubgate shares its store with others."""

    example: ClassVar[str] = "{name: proxy-1, wait: 1.0}"
    name: ReplicaName = ""
    wait: ReplicaWait = REPLICAS.wait
    lease: ReplicaLease = REPLICAS.lease
    settle: ReplicaSettle = REPLICAS.settle


class RouteEntrySection(Section):
    """One route; a bare URL is short for its target."""

    example: ClassVar[str] = "http://127.0.0.1:9001 or {target: ..., strip_prefix: true}"
    target: TargetURL
    strip_prefix: Switch = False
    headers: HeaderPairs = ()

    @model_validator(mode="before")
    @classmethod
    def _from_url(cls, value: Any) -> Any:
        return {"target": value} if isinstance(value, str) else value


class File(Section):
    """All of routes.yaml."""

    example: ClassVar[str] = "{listen: {port: 8000}, routes: {/: http://127.0.0.1:8081}}"
    listen: ListenSection = ListenSection()
    api: APISection = APISection()
    metrics: MetricsSection | None = None
    health: HealthSection | None = None
    workers: Workers = 1
    store: Store | None = None
    redis: RedisSection = RedisSection()
    replicas: ReplicasSection = ReplicasSection()
    log_level: LogLevel = "info"
    log_format: MainLogFormat = "text"
    access_log: AccessLogSection | None = None
    pid_file: FilePath | None = None
    timeouts: TimesSection = TimesSection()
    limits: SizesSection = SizesSection()
    tcp_keepalive: KeepaliveSection = KeepaliveSection()
    forward: ForwardSection = ForwardSection()
    upstream: UpstreamSection = UpstreamSection()
    routes: dict[str, RouteEntrySection] = {}


def kind_at(place: Place) -> Any:
    """Return the type of the value at `place`, with its checks: of ("limits", "body")."""
    model: type[BaseModel] = File
    *sections, last = map(str, place)
    for name in sections:
        annotation = model.model_fields[name].annotation
        kinds = (annotation, *get_args(annotation))
        model = next(k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel))
    field = model.model_fields[last]
    return Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
