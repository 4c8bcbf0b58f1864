"""From the options of configurable-http-proxy to `Settings`."""

from collections.abc import Mapping
from pathlib import Path
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
from hubgate.settings.catalogue import variables_of
from hubgate.settings.checks import (
    LogFormat,
    MainLogFormat,
    Scheme,
    anchor_store,
    check_host_names,
    check_level,
    check_listen_host,
    check_seconds,
    check_seconds_or_zero,
    check_store,
    check_store_flag,
    check_workers,
    folder_mistake,
    stated,
    whole_number,
    worker_count,
)
from hubgate.settings.chp.options import TOKENS, ChpOptions
from hubgate.settings.chp.tls import client_tls, server_tls
from hubgate.settings.clashes import clashes
from hubgate.settings.layers import OFF_WORDS
from hubgate.settings.recovery_path import no_recovery, recovery_path
from hubgate.settings.token import token_from_environment, token_from_file
from hubgate.settings.urls import check_chp_target, check_header, check_socket_path
from hubgate.settings.variables import redis_login


def build(given: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """Return the settings of CHP's options, `given` or in `environ`; raises ConfigError."""
    options = ChpOptions(given, environ)
    environ = options.environ
    _check_conflicts(options)
    level, log_format = log_level(options), _log_format(environ)
    api, store, (token, token_file) = (_api(options),), _store(options), _token(environ)
    worker = WorkerConfig(
        rules=_rules(options),
        timeouts=_timeouts(options, environ),
        tls=server_tls(options, ""),
        client_tls=client_tls(options),
        redirect_to=_redirect_to(options),
        log_level=level,
        access_log=_access_log(options),
        log_format=log_format,
    )
    settings = Settings(
        listen=(_listen(options),),
        redirect=_redirect(options),
        api=api,
        api_tls=server_tls(options, "api_"),
        api_token=token,
        api_token_file=token_file,
        api_hosts=_api_hosts(environ),
        metrics=_metrics(options),
        health=_health(environ),
        store=store,
        recovery_file=recovery_path(environ, token, api) if store == "memory:" else None,
        redis=redis_login(environ),
        workers=_workers(options),
        worker=worker,
        initial_routes=_default_route(options),
        pid_file=options["pid_file"],
        log_level=level,
        log_format=log_format,
    )
    if lines := clashes(settings, options.where):
        raise ConfigError(*lines)
    return settings


def _log_format(environ: Mapping[str, str]) -> str:
    variable = variables_of("log_format")[0]
    name = environ.get(variable) or "text"
    if name not in get_args(MainLogFormat):
        raise ConfigError(f"{variable}: {name!r} is not a format; write text or json")
    return name


def log_level(options: Mapping[str, Any]) -> str:
    """Return our name for the log level that `options` have."""
    return check_level(options["log_level"] or "info")


def warnings(
    options: Mapping[str, Any], settings: Settings, environ: Mapping[str, str]
) -> list[str]:
    """Return a line for all that has no effect: options, variables, an unknown home folder."""
    lines = []
    if options["ssl_allow_rc4"]:
        lines.append("--ssl-allow-rc4 has no effect: RC4 is broken (RFC 7465) and not offered.")
    (variable,) = variables_of("api_open")
    if settings.api_token is not None and environ.get(variable, "0").lower() not in OFF_WORDS:
        lines.append(f"{variable} has no effect: there is a token, which the API requires.")
    if line := no_recovery(settings, environ):
        lines.append(line)
    return lines


def _check_conflicts(options: ChpOptions) -> None:
    for side in ("", "api_", "metrics_"):
        for other in ("port", "ip"):
            if options[f"{side}socket"] and options[f"{side}{other}"] is not None:
                one, two = options.origin(f"{side}socket"), options.origin(f"{side}{other}")
                raise ConfigError(f"{one} cannot be used with {two}; drop one")
    if options["error_target"] and options["error_path"]:
        raise ConfigError("Cannot specify both --error-target and --error-path; pick one")
    if options["redirect_port"] is not None:
        if not options["ssl_cert"] and not options["ssl_key"]:
            origin = options.origin("redirect_port")
            raise ConfigError(f"{origin} needs TLS; give --ssl-cert and --ssl-key")
        if options["socket"] and not options["redirect_to"]:
            one, two = options.origin("redirect_port"), options.origin("socket")
            raise ConfigError(f"{one} with {two} needs --redirect-to; give the port")


def _listen(options: ChpOptions) -> Address:
    if options["socket"]:
        return _socket(options, "socket")
    port = 8000 if options["port"] is None else options["port"]
    return Address(_host(options, "ip", ""), port)


def _api(options: ChpOptions) -> Address:
    if options["api_socket"]:
        return _socket(options, "api_socket")
    port = options["api_port"]
    if port is None:
        port = options["port"] + 1 if options["port"] else 8001
    if port > 65535:
        origin = options.origin("port")
        raise ConfigError(f"{origin}: 65535 leaves no port after it for the API; give --api-port")
    return Address(_host(options, "api_ip", "localhost"), port)


def _api_hosts(environ: Mapping[str, str]) -> tuple[str, ...]:
    variable = variables_of("api_hosts")[0]
    names = environ.get(variable)
    return stated(check_host_names, names, variable) if names else ()


def _metrics(options: ChpOptions) -> tuple[Address, ...]:
    if options["metrics_socket"]:
        return (_socket(options, "metrics_socket"),)
    if options["metrics_port"] is None:
        return ()
    return (Address(_host(options, "metrics_ip", ""), options["metrics_port"]),)


def _health(environ: Mapping[str, str]) -> tuple[Address, ...]:
    """Return where the health pages are besides the API's port; only variables say so."""
    at_host, at_port, at_socket = variables_of("health")
    host, port, socket = (environ.get(name) for name in (at_host, at_port, at_socket))
    if socket and (host or port):
        raise ConfigError(f"{at_socket} cannot be used with a host or port; drop one")
    if socket:
        return (Address(path=stated(check_socket_path, socket, at_socket)),)
    if not port:
        return ()
    number = stated(lambda text: whole_number(text, "port", 0, 65535), port, at_port)
    return (Address(stated(check_listen_host, host or "127.0.0.1", at_host), number),)


def _socket(options: ChpOptions, name: str) -> Address:
    return Address(path=stated(check_socket_path, options[name], options.origin(name)))


def _host(options: ChpOptions, name: str, default: str) -> str:
    given = options[name]
    return default if given is None else stated(check_listen_host, given, options.origin(name))


def _redirect(options: ChpOptions) -> tuple[Address, ...]:
    port = options["redirect_port"]
    return () if port is None else (Address("", port),)


def _redirect_to(options: ChpOptions) -> int | None:
    if options["redirect_port"] is None:
        return None
    return options["redirect_to"] or _listen(options).port


def _rules(options: ChpOptions) -> ForwardRules:
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
        error_target=stated(check_chp_target, target, "--error-target") if target else None,
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


def _timeouts(options: ChpOptions, environ: Mapping[str, str]) -> Timeouts:
    variable = variables_of("worker.timeouts.drain")[0]
    drain = environ.get(variable)
    delay_variable = variables_of("worker.timeouts.drain_delay")[0]
    delay = environ.get(delay_variable)
    # CHP treats 0 as not given.
    return Timeouts(
        keep_alive=(options["keep_alive_timeout"] or 0) / 1000 or Timeouts().keep_alive,
        request=(options["timeout"] or 0) / 1000 or None,
        response=(options["proxy_timeout"] or 0) / 1000 or None,
        drain=stated(check_seconds, drain, variable) if drain else Timeouts().drain,
        drain_delay=stated(check_seconds_or_zero, delay, delay_variable) if delay else 0.0,
    )


def _default_route(options: ChpOptions) -> tuple[Route, ...]:
    target = options["default_target"]
    if not target:
        return ()
    return (Route("/", stated(check_chp_target, target, "--default-target"), {"target": target}),)


def _store(options: ChpOptions) -> str:
    address, origin = options["storage_backend"], options.origin("storage_backend")
    if address and ":" not in address and origin.startswith("--"):
        raise ConfigError(
            f"{origin}: {address!r} is a Node.js module, which hubgate cannot load;"
            " write memory:, sqlite:FILE or redis://HOST"
        )
    if address and origin.startswith("--"):
        stated(check_store_flag, address, origin)
    return anchor_store(stated(check_store, address or "memory:", origin), current_folder())


def _workers(options: ChpOptions) -> int:
    return worker_count(stated(check_workers, options["workers"] or "1", options.origin("workers")))


def _token(environ: Mapping[str, str]) -> tuple[str | None, Path | None]:
    """Return the API's token, and the file that it is from, if it is."""
    (variable,) = variables_of("api_token_file")
    token, path = token_from_environment(environ, TOKENS), environ.get(variable)
    if token is not None or not path:
        return token, None
    path = anchored(path)
    return stated(token_from_file, path, variable), Path(path)


def _access_log(options: ChpOptions) -> AccessLogConfig | None:
    given, kind = options["access_log"], options["access_log_format"]
    if kind not in (None, *get_args(LogFormat)):
        origin = options.origin("access_log_format")
        raise ConfigError(f"{origin}: {kind!r} is not a format; write combined or json")
    origin = options.origin("access_log")
    path = anchor_log(stated(check_log_path, given, origin), current_folder()) if given else OFF
    if path == OFF:
        return None
    if mistake := access_log_mistake(path):
        raise ConfigError(f"{origin}: {mistake}")
    return AccessLogConfig(path, kind or "combined")
