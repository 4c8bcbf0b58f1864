"""Every setting, once: where it is given, what it becomes, and when a change takes effect.

A new setting is added here; `tests/settings/test_catalogue.py` then demands the rest: its key in
`routes_yaml.schema` and its field in `values` or `hubgate.model`. Lightweight, because every
start waits for it.
"""

from hubgate.settings.setting import Flag, Kind, NotInFile, Setting, TakesEffect

RELOAD, UPGRADE, RESTART = TakesEffect.AT_RELOAD, TakesEffect.AT_UPGRADE, TakesEffect.AT_RESTART
TEXT, PATH = Kind.TEXT, Kind.PATH


def _alike(
    section: str, owner: str, names: str, takes_effect: TakesEffect = RELOAD
) -> tuple[Setting, ...]:
    """Return settings whose keys in a section have the same names as their fields."""
    return tuple(
        Setting(f"{section}.{name}", f"{owner}.{name}", takes_effect) for name in names.split()
    )


def _more_tls(
    section: str, owner: str, takes_effect: TakesEffect, variable: str
) -> tuple[Setting, ...]:
    """Return a listener's TLS settings other than its certificate and key."""
    return (
        *_alike(section, owner, "min_version ca ciphers dhparam", takes_effect),
        Setting(
            f"{section}.client_certificates",
            f"{owner}.request_cert",
            takes_effect,
            also=f"{owner}.reject_unauthorized",
        ),
        Setting(
            "", f"{owner}.passphrase", takes_effect, NotInFile(f"{section}.passphrase", (variable,))
        ),
        # Only CHP's --ssl-protocol sets it.
        Setting("", f"{owner}.max_version", takes_effect, NotInFile(f"{section}.max_version")),
    )


_LISTEN = (
    Setting(
        "listen.host",
        "listen",
        RESTART,
        Flag("--host", "HOST", "Address to listen on; '*' for all."),
    ),
    Setting(
        "listen.port",
        "listen",
        RESTART,
        Flag("--port", "PORT", "Port to listen on (8000).", TEXT, "public"),
    ),
    Setting(
        "listen.socket",
        "listen",
        RESTART,
        Flag("--socket", "PATH", "Unix socket to listen on.", PATH),
    ),
    Setting(
        "listen.tls.cert",
        "worker.tls.cert",
        RELOAD,
        Flag("--tls-cert", "FILE", "Certificate (PEM).", PATH),
    ),
    Setting(
        "listen.tls.key",
        "worker.tls.key",
        RELOAD,
        Flag("--tls-key", "FILE", "Its private key (PEM).", PATH),
    ),
    *_more_tls("listen.tls", "worker.tls", RELOAD, "HUBGATE_TLS_PASSPHRASE"),
    Setting(
        "listen.no_ssl",
        "listen",
        RESTART,
        Flag("--no-ssl", "", "TLS terminates elsewhere.", Kind.SWITCH),
    ),
    Setting(
        "listen.redirect_port",
        "redirect",
        RESTART,
        Flag("--redirect-port", "PORT", "Redirect HTTP here to HTTPS.", TEXT, "redirect"),
    ),
    Setting(
        "listen.redirect_to",
        "worker.redirect_to",
        RELOAD,
        Flag("--redirect-to", "PORT", "Port redirects point to."),
    ),
)

_API = (
    Setting(
        "api.host",
        "api",
        RESTART,
        Flag("--api-host", "HOST", "Address of the REST API (127.0.0.1)."),
    ),
    Setting(
        "api.port",
        "api",
        RESTART,
        Flag("--api-port", "PORT", "Port of the REST API (8001).", TEXT, "api"),
    ),
    Setting(
        "api.socket",
        "api",
        RESTART,
        Flag("--api-socket", "PATH", "Unix socket of the API.", PATH),
    ),
    Setting(
        "api.token_file",
        "api_token_file",
        RELOAD,
        Flag("--token-file", "FILE", "File with the API's token.", PATH),
    ),
    Setting("api.tokens", "api_tokens"),
    Setting(
        "api.open",
        "api_open",
        RELOAD,
        Flag("--api-open", "", "Anyone on this machine may use the API.", Kind.SWITCH),
    ),
    Setting(
        "api.hosts",
        "api_hosts",
        RELOAD,
        Flag("--api-hosts", "NAMES", "More names of the API's and metrics' host, with commas."),
    ),
    Setting(
        "",
        "api_token",
        RELOAD,
        NotInFile("the API's token", ("HUBGATE_TOKEN", "CONFIGPROXY_AUTH_TOKEN")),
    ),
    *_alike("api.tls", "api_tls", "cert key", UPGRADE),
    *_more_tls("api.tls", "api_tls", UPGRADE, "HUBGATE_API_TLS_PASSPHRASE"),
)

_METRICS = (
    Setting(
        "metrics.host",
        "metrics",
        RESTART,
        Flag("--metrics-host", "HOST", "Address of the metrics (127.0.0.1)."),
    ),
    Setting(
        "metrics.port",
        "metrics",
        RESTART,
        Flag("--metrics-port", "PORT", "Port of the metrics (none).", TEXT, "metrics"),
    ),
    Setting(
        "metrics.socket",
        "metrics",
        RESTART,
        Flag("--metrics-socket", "PATH", "Unix socket of the metrics.", PATH),
    ),
)

_HEALTH = (
    Setting(
        "health.host",
        "health",
        RESTART,
        Flag("--health-host", "HOST", "Address of the health pages (127.0.0.1)."),
    ),
    Setting(
        "health.port",
        "health",
        RESTART,
        Flag("--health-port", "PORT", "Port of the health pages (the API's).", TEXT, "health"),
    ),
    Setting(
        "health.socket",
        "health",
        RESTART,
        Flag("--health-socket", "PATH", "Unix socket of the health pages.", PATH),
    ),
)

_PROCESS = (
    Setting(
        "workers",
        "workers",
        UPGRADE,
        Flag("--workers", "N", "Worker processes, or auto: one per core (1)."),
    ),
    Setting(
        "store",
        "store",
        RESTART,
        Flag(
            "--store",
            "STORE",
            "memory:, sqlite:FILE or redis://HOST (a file of its own).",
            Kind.STORE,
        ),
    ),
    Setting("", "own_store", TakesEffect.AT_START, NotInFile("the store of its own")),
    Setting(
        "", "redis.password", UPGRADE, NotInFile("redis.password", ("HUBGATE_REDIS_PASSWORD",))
    ),
    Setting(
        "",
        "redis.sentinel_password",
        UPGRADE,
        NotInFile("redis.sentinel_password", ("HUBGATE_REDIS_SENTINEL_PASSWORD",)),
    ),
    *_alike("redis", "redis", "password_file sentinel_password_file ca", UPGRADE),
    # Under another name, the others would take the earlier one for gone.
    *_alike("replicas", "replicas", "name", RESTART),
    *_alike("replicas", "replicas", "wait lease settle", UPGRADE),
    Setting("", "recovery_file", RESTART, NotInFile("the recovery file", ("HUBGATE_RECOVERY",))),
    Setting(
        "timeouts.drain",
        "worker.timeouts.drain",
        RELOAD,
        Flag("--drain-timeout", "SECONDS", "Time to finish requests at exit (10)."),
    ),
    Setting(
        "timeouts.drain_delay",
        "worker.timeouts.drain_delay",
        RELOAD,
        Flag("--drain-delay", "SECONDS", "Time from not ready to closed ports at exit (0)."),
    ),
    Setting(
        "pid_file",
        "pid_file",
        RESTART,
        Flag("--pid-file", "FILE", "File for the process id.", PATH),
    ),
    Setting(
        "log_level",
        "log_level",
        RELOAD,
        Flag("--log-level", "LEVEL", "debug, info, warn or error (info)."),
        also="worker.log_level",
    ),
    Setting(
        "log_format",
        "log_format",
        RELOAD,
        Flag("--log-format", "NAME", "text (default) or json."),
        also="worker.log_format",
    ),
    Setting(
        "access_log.path",
        "worker.access_log.path",
        RELOAD,
        Flag("--access-log", "PATH", "Log of requests; - is stdout.", Kind.OUTPUT),
    ),
    Setting(
        "access_log.format",
        "worker.access_log.format",
        RELOAD,
        Flag("--access-log-format", "NAME", "combined (default) or json."),
    ),
    # False for a worker that takes the place of one: it serves without its log rather than not.
    Setting("", "worker.access_log.required", RELOAD, NotInFile("access_log.required")),
    Setting("", "config_file", UPGRADE, NotInFile("config_file")),
)

_TRAFFIC = (
    *_alike(
        "timeouts",
        "worker.timeouts",
        "head body keep_alive lookup connect ready down request response total"
        " upstream_idle upstream_age upgrade",
    ),
    *_alike(
        "limits",
        "worker.limits",
        "request_line head headers body connections address_connections control_connections"
        " control_address_connections route_requests route_tunnels upstream_idle",
    ),
    *_alike(
        "forward",
        "worker.rules",
        "x_forward prepend_path include_prefix change_origin auto_rewrite protocol_rewrite"
        " trusted_peers error_target error_path",
    ),
    Setting("forward.headers", "worker.rules.custom_headers"),
    # The routes in use were entered under it.
    Setting(
        "forward.host_routing",
        "worker.rules.host_routing",
        UPGRADE,
        also="worker.rules.native_routes",
    ),
    *_alike("tcp_keepalive", "worker.tcp_keepalive", "idle interval count"),
    *_alike("upstream.tls", "worker.client_tls", "ca cert key verify check_hostname"),
)

_ROUTES = (
    Setting("routes", "file_routes"),
    Setting("", "initial_routes", TakesEffect.AT_START, NotInFile("--default-target")),
)

# In the order of --help.
SETTINGS: tuple[Setting, ...] = (
    *(*_LISTEN, *_API, *_METRICS, *_HEALTH),
    *(*_PROCESS, *_TRAFFIC, *_ROUTES),
)

FLAGS: dict[Flag, Setting] = {
    setting.given: setting for setting in SETTINGS if isinstance(setting.given, Flag)
}
"""The settings that a flag and a variable can give."""

LISTENERS: dict[str, Flag] = {
    setting.becomes: flag for flag, setting in FLAGS.items() if flag.descriptor
}
"""The fields of `Settings` with addresses to listen on, each with the flag that changes it."""


def variables_of(field: str) -> tuple[str, ...]:
    """Return the environment variables that decide a field of `Settings`."""
    return tuple(name for each in SETTINGS if field in each.fields for name in each.variables)


OTHER_VARIABLES: dict[str, str] = {
    "HUBGATE_API_URL": "where proxyctl finds the API",
    "HUBGATE_KEEPER": "the socket of the hub that keeps our ports",
    "HUBGATE_SETTINGS": "what a hub's configuration says",
    "HUBGATE_HANDOVER_FD": "what an older release hands over in an upgrade",
    "HUBGATE_REHEARSAL_FD": "where the rehearsal of an upgrade answers",
}
"""Variables that are not settings, and what they are; those but the first are our own business."""
