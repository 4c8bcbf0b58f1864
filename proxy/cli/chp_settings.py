"""From CHP's options to `Settings`: pure but for reading nothing at all."""

from collections.abc import Mapping
from typing import Any

from proxy.errors import ConfigError
from proxy.model import (
    Address,
    ClientTLS,
    ForwardRules,
    Headers,
    Route,
    ServerTLS,
    Timeouts,
    WorkerConfig,
)
from proxy.settings import Settings

Options = Mapping[str, Any]


def build(options: Options, environ: Mapping[str, str]) -> Settings:
    """Return the settings that CHP's `options` mean. Raises ConfigError."""
    _check_conflicts(options)
    level = log_level(options["log_level"])
    worker = WorkerConfig(
        rules=_rules(options),
        timeouts=_timeouts(options),
        tls=_server_tls(options, environ, ""),
        client_tls=_client_tls(options),
        redirect_to=_redirect_to(options),
        log_level=level,
    )
    return Settings(
        listen=(_listen(options),),
        redirect=_redirect(options),
        api=(_api(options),),
        api_tls=_server_tls(options, environ, "api_"),
        api_token=environ.get("CONFIGPROXY_AUTH_TOKEN") or None,
        metrics=_metrics(options),
        store=options["storage_backend"] or "memory:",
        worker=worker,
        initial_routes=_default_route(options),
        pid_file=options["pid_file"],
        log_level=level,
    )


def log_level(name: str) -> str:
    """Return our name of a log level; Python's names are known too."""
    name = name.lower()
    return {"warning": "warn", "critical": "error"}.get(name, name)


def warnings(options: Options, settings: Settings) -> list[str]:
    """Return what is allowed but unwise, one line each."""
    found = []
    if settings.api_token is None:
        found.append("REST API is not authenticated.")
    return found


def _check_conflicts(options: Options) -> None:
    for name in ("", "api_", "metrics_"):
        for other in ("port", "ip"):
            if options[f"{name}socket"] and options[f"{name}{other}"] is not None:
                flag = name.replace("_", "-")
                raise ConfigError(f"--{flag}socket cannot be used with --{flag}{other}; drop one")
    if options["error_target"] and options["error_path"]:
        raise ConfigError("Cannot specify both --error-target and --error-path; pick one")
    if options["redirect_port"] is not None and not options["ssl_cert"]:
        raise ConfigError("--redirect-port needs --ssl-cert and --ssl-key")


def _listen(options: Options) -> Address:
    if options["socket"]:
        return Address(path=options["socket"])
    return Address(_host(options["ip"]), 8000 if options["port"] is None else options["port"])


def _api(options: Options) -> Address:
    if options["api_socket"]:
        return Address(path=options["api_socket"])
    port = options["api_port"]
    if port is None:
        port = options["port"] + 1 if options["port"] else 8001
    host = "localhost" if options["api_ip"] is None else _host(options["api_ip"])
    return Address(host, port)


def _metrics(options: Options) -> tuple[Address, ...]:
    if options["metrics_socket"]:
        return (Address(path=options["metrics_socket"]),)
    if options["metrics_port"] is None:
        return ()
    return (Address(_host(options["metrics_ip"]), options["metrics_port"]),)


def _host(ip: str | None) -> str:
    return "" if ip is None or ip == "*" else ip


def _redirect(options: Options) -> tuple[Address, ...]:
    port = options["redirect_port"]
    return () if port is None else (Address("", port),)


def _redirect_to(options: Options) -> int | None:
    if options["redirect_port"] is None:
        return None
    return options["redirect_to"] or _listen(options).port


def _rules(options: Options) -> ForwardRules:
    return ForwardRules(
        x_forward=not options["no_x_forward"],
        prepend_path=not options["no_prepend_path"],
        include_prefix=not options["no_include_prefix"],
        change_origin=options["change_origin"],
        auto_rewrite=options["auto_rewrite"],
        protocol_rewrite=options["protocol_rewrite"],
        custom_headers=_custom_headers(options["custom_header"]),
        host_routing=options["host_routing"],
        error_target=options["error_target"],
        error_path=options["error_path"],
    )


def _custom_headers(texts: tuple[str, ...]) -> Headers:
    headers: dict[str, str] = {}
    for text in texts:
        name, colon, value = text.strip().partition(":")
        if not colon or not name:
            raise ConfigError(f"A colon was expected in custom header: {text.strip()}")
        headers[name.strip()] = value.strip()
    return tuple(headers.items())


def _timeouts(options: Options) -> Timeouts:
    default = Timeouts()
    return Timeouts(
        keep_alive=(options["keep_alive_timeout"] or 0) / 1000 or default.keep_alive,
        request=(options["timeout"] or 0) / 1000 or None,
        response=(options["proxy_timeout"] or 0) / 1000 or None,
    )


def _server_tls(options: Options, environ: Mapping[str, str], side: str) -> ServerTLS | None:
    cert, key = options[f"{side}ssl_cert"], options[f"{side}ssl_key"]
    if not cert and not key:
        return None
    return ServerTLS(
        cert=cert,
        key=key,
        ca=options[f"{side}ssl_ca"],
        request_cert=options[f"{side}ssl_request_cert"],
        reject_unauthorized=options[f"{side}ssl_reject_unauthorized"],
        passphrase=environ.get(f"CONFIGPROXY_{side.upper()}SSL_KEY_PASSPHRASE"),
        ciphers=options["ssl_ciphers"],
        dhparam=options["ssl_dhparam"],
    )


def _client_tls(options: Options) -> ClientTLS:
    return ClientTLS(
        cert=options["client_ssl_cert"],
        key=options["client_ssl_key"],
        ca=options["client_ssl_ca"],
        verify=not options["insecure"],
    )


def _default_route(options: Options) -> tuple[Route, ...]:
    target = options["default_target"]
    return (Route("/", target, {"target": target}),) if target else ()
