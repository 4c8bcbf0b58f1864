"""From the options of configurable-http-proxy to `Settings`."""

from collections.abc import Mapping
from typing import Any, get_args

from hubgate.current_folder import anchored, current_folder
from hubgate.errors import ConfigError
from hubgate.model import (
    AccessLogConfig,
    Address,
    ForwardRules,
    Headers,
    Route,
    Timeouts,
    WorkerConfig,
)
from hubgate.settings import Settings
from hubgate.settings.access_log import OFF, access_log_mistake, anchor_log, check_log_path
from hubgate.settings.catalogue import LISTENERS, variables_of
from hubgate.settings.checks import (
    LogFormat,
    Scheme,
    anchor_store,
    check_host_names,
    check_listen_host,
    check_seconds,
    check_store,
    check_workers,
    folder_mistake,
    stated,
    worker_count,
)
from hubgate.settings.chp.tls import client_tls, server_tls
from hubgate.settings.listener_clashes import clashes
from hubgate.settings.recovery_path import recovery_path
from hubgate.settings.token import token_from_environment
from hubgate.settings.urls import check_header, check_socket_path, check_target

Options = Mapping[str, Any]

# The hub sets CHP's variable for its proxy; ours may be set for another program.
_TOKENS = tuple(reversed(variables_of("api_token")))

_FILES = (
    *(f"{side}ssl_{name}" for side in ("", "api_", "client_") for name in ("key", "cert", "ca")),
    *("ssl_dhparam", "error_path", "pid_file"),
)


def build(options: Options, environ: Mapping[str, str]) -> Settings:
    """Return the settings that CHP's `options` stand for. Raises ConfigError."""
    _check_conflicts(options)
    options = _anchored(options)
    level = log_level(options["log_level"])
    api, store = (_api(options),), _store(options, environ)
    token = token_from_environment(environ, _TOKENS)
    worker = WorkerConfig(
        rules=_rules(options),
        timeouts=_timeouts(options, environ),
        tls=server_tls(options, environ, ""),
        client_tls=client_tls(options),
        redirect_to=_redirect_to(options),
        log_level=level,
        access_log=_access_log(options, environ),
    )
    settings = Settings(
        listen=(_listen(options),),
        redirect=_redirect(options),
        api=api,
        api_tls=server_tls(options, environ, "api_"),
        api_token=token,
        api_hosts=_api_hosts(environ),
        metrics=_metrics(options),
        store=store,
        recovery_file=recovery_path(environ, token, api) if store == "memory:" else None,
        workers=_workers(options, environ),
        worker=worker,
        initial_routes=_default_route(options),
        pid_file=options["pid_file"],
        log_level=level,
    )
    if lines := clashes(settings, [flag.name for flag in LISTENERS.values()]):
        raise ConfigError(*lines)
    return settings


def _anchored(options: Options) -> Options:
    """Make the paths of files relative to the current folder: they must go on meaning the same.

    Not those of sockets, whose length is limited: they are used once, at the start.
    """
    given = {name: options[name] for name in _FILES if options[name]}
    return {**options, **{name: anchored(path) for name, path in given.items()}}


def log_level(name: str) -> str:
    """Return our name for a log level; Python's names are accepted too."""
    name = name.lower()
    return {"warning": "warn", "critical": "error"}.get(name, name)


def warnings(options: Options) -> list[str]:
    """Return a line for each option that has no effect."""
    if options["ssl_allow_rc4"]:
        return ["--ssl-allow-rc4 has no effect: RC4 is broken (RFC 7465) and not offered."]
    return []


def _check_conflicts(options: Options) -> None:
    for side in ("", "api_", "metrics_"):
        for other in ("port", "ip"):
            if options[f"{side}socket"] and options[f"{side}{other}"] is not None:
                flag = "--" + side.replace("_", "-")
                raise ConfigError(f"{flag}socket cannot be used with {flag}{other}; drop one")
    if options["error_target"] and options["error_path"]:
        raise ConfigError("Cannot specify both --error-target and --error-path; pick one")
    if options["redirect_port"] is not None:
        if not options["ssl_cert"] and not options["ssl_key"]:
            raise ConfigError("--redirect-port needs TLS; give --ssl-cert and --ssl-key")
        if options["socket"] and not options["redirect_to"]:
            raise ConfigError("--redirect-port with --socket needs --redirect-to; give the port")


def _listen(options: Options) -> Address:
    if options["socket"]:
        return _socket(options, "socket")
    port = 8000 if options["port"] is None else options["port"]
    return Address(_host(options, "ip", ""), port)


def _api(options: Options) -> Address:
    if options["api_socket"]:
        return _socket(options, "api_socket")
    port = options["api_port"]
    if port is None:
        port = options["port"] + 1 if options["port"] else 8001
    if port > 65535:
        raise ConfigError("--port: 65535 leaves no port after it for the API; give --api-port")
    return Address(_host(options, "api_ip", "localhost"), port)


def _api_hosts(environ: Mapping[str, str]) -> tuple[str, ...]:
    variable = variables_of("api_hosts")[0]
    names = environ.get(variable)
    return stated(check_host_names, names, variable) if names else ()


def _metrics(options: Options) -> tuple[Address, ...]:
    if options["metrics_socket"]:
        return (_socket(options, "metrics_socket"),)
    if options["metrics_port"] is None:
        return ()
    return (Address(_host(options, "metrics_ip", ""), options["metrics_port"]),)


def _socket(options: Options, name: str) -> Address:
    return Address(path=stated(check_socket_path, options[name], _flag(name)))


def _host(options: Options, name: str, default: str) -> str:
    given = options[name]
    return default if given is None else stated(check_listen_host, given, _flag(name))


def _redirect(options: Options) -> tuple[Address, ...]:
    port = options["redirect_port"]
    return () if port is None else (Address("", port),)


def _redirect_to(options: Options) -> int | None:
    if options["redirect_port"] is None:
        return None
    return options["redirect_to"] or _listen(options).port


def _rules(options: Options) -> ForwardRules:
    folder, target = options["error_path"], options["error_target"]
    if folder and (mistake := folder_mistake(folder)):
        raise ConfigError(f"--error-path: {mistake}")
    scheme = options["protocol_rewrite"]
    if scheme not in (None, *get_args(Scheme)):
        raise ConfigError(
            f"--protocol-rewrite: {scheme!r} is not a valid scheme; write http or https"
        )
    return ForwardRules(
        x_forward=not options["no_x_forward"],
        prepend_path=not options["no_prepend_path"],
        include_prefix=not options["no_include_prefix"],
        change_origin=options["change_origin"],
        auto_rewrite=options["auto_rewrite"],
        protocol_rewrite=scheme,
        custom_headers=_custom_headers(options["custom_header"]),
        host_routing=options["host_routing"],
        error_target=stated(check_target, target, "--error-target") if target else None,
        error_path=folder,
    )


def _custom_headers(texts: tuple[str, ...]) -> Headers:
    headers: dict[str, str] = {}
    for text in texts:
        name, colon, value = text.strip().partition(":")
        if not colon or not name:
            raise ConfigError(f"A colon was expected in custom header: {text.strip()}")
        name, value = stated(
            lambda pair: check_header(*pair), (name.strip(), value), "--custom-header"
        )
        headers[name] = value
    return tuple(headers.items())


def _timeouts(options: Options, environ: Mapping[str, str]) -> Timeouts:
    variable = variables_of("worker.timeouts.drain")[0]
    drain = environ.get(variable)
    # CHP treats 0 as not given.
    return Timeouts(
        keep_alive=(options["keep_alive_timeout"] or 0) / 1000 or Timeouts().keep_alive,
        request=(options["timeout"] or 0) / 1000 or None,
        response=(options["proxy_timeout"] or 0) / 1000 or None,
        drain=stated(check_seconds, drain, variable) if drain else Timeouts().drain,
    )


def _default_route(options: Options) -> tuple[Route, ...]:
    target = options["default_target"]
    if not target:
        return ()
    return (Route("/", stated(check_target, target, "--default-target"), {"target": target}),)


def _store(options: Options, environ: Mapping[str, str]) -> str:
    address = options["storage_backend"]
    if address and ":" not in address:
        raise ConfigError(
            f"--storage-backend: {address!r} is a Node.js module, which hubgate cannot load;"
            " write memory: or sqlite:FILE"
        )
    variable = variables_of("store")[0]
    origin = "--storage-backend" if address else variable
    address = address or environ.get(variable) or "memory:"
    return anchor_store(stated(check_store, address, origin), current_folder())


def _workers(options: Options, environ: Mapping[str, str]) -> int:
    origin, text = _given("workers", "workers", options, environ)
    return worker_count(stated(check_workers, text or "1", origin))


def _access_log(options: Options, environ: Mapping[str, str]) -> AccessLogConfig | None:
    origin, given = _given("access_log", "worker.access_log.path", options, environ)
    field = "worker.access_log.format"
    kind_origin, kind = _given("access_log_format", field, options, environ)
    if kind not in (None, *get_args(LogFormat)):
        raise ConfigError(f"{kind_origin}: {kind!r} is not a format; write combined or json")
    path = anchor_log(stated(check_log_path, given, origin), current_folder()) if given else OFF
    if path == OFF:
        return None
    if mistake := access_log_mistake(path):
        raise ConfigError(f"{origin}: {mistake}")
    return AccessLogConfig(path, kind or "combined")


def _given(
    name: str, field: str, options: Options, environ: Mapping[str, str]
) -> tuple[str, str | None]:
    """Return the name of the flag, else of the variable, and its value (None if not set)."""
    if options[name]:
        return _flag(name), options[name]
    variable = variables_of(field)[0]
    return variable, environ.get(variable) or None


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
