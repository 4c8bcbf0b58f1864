"""From the checked file to `Settings`: defaults that depend on each other, relative paths."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from hubgate.current_folder import current_folder
from hubgate.model import (
    AccessLogConfig,
    Address,
    ClientTLS,
    ForwardRules,
    Limits,
    RedisLogin,
    ReplicaOptions,
    Route,
    RouteOptions,
    ServerTLS,
    Source,
    TcpKeepalive,
    Timeouts,
    WorkerConfig,
)
from hubgate.settings.access_log import OFF, anchor_log
from hubgate.settings.catalogue import variables_of
from hubgate.settings.checks import anchor_store, worker_count
from hubgate.settings.routes_yaml import schema
from hubgate.settings.values import Settings
from hubgate.settings.variables import redis_login

LOOPBACK = ("127.0.0.1",)
EVERYWHERE = ("",)


def resolve(
    file: schema.File,
    routes: tuple[Route, ...],
    path: Path | None,
    environ: Mapping[str, str],
) -> Settings:
    """Return the settings that `file`, read from `path`, stands for, without the token."""
    # Where sockets are is left as it was written: the length of their paths is limited.
    sockets = str(path.parent) if path and path.parent != Path() else ""
    folder = os.path.join(current_folder(), sockets) if path else ""
    secret, api_secret = (
        environ.get(variables_of(f"{side}.passphrase")[0]) for side in ("worker.tls", "api_tls")
    )
    return Settings(
        listen=_listen(file.listen, sockets),
        redirect=_redirect(file.listen),
        api=_addresses(file.api, sockets, LOOPBACK, 8001),
        api_hosts=file.api.hosts,
        api_tls=_server_tls(file.api.tls, folder, api_secret),
        metrics=_addresses(file.metrics, sockets, LOOPBACK, 0) if file.metrics else (),
        health=_addresses(file.health, sockets, LOOPBACK, 0) if file.health else (),
        store=anchor_store(file.store, folder) if file.store else "memory:",
        own_store=file.store is None,
        redis=_redis(file.redis, folder, environ),
        replicas=ReplicaOptions(**file.replicas.model_dump()),
        workers=worker_count(file.workers),
        worker=_worker(file, folder, secret),
        file_routes=routes,
        pid_file=_at(folder, file.pid_file),
        config_file=Path(current_folder(), path) if path else None,
        log_level=file.log_level,
        log_format=file.log_format,
    )


def file_route(key: str, entry: schema.RouteEntrySection) -> Route:
    """Return the route that an entry of routes.yaml stands for."""
    data: dict[str, object] = {"target": entry.target}
    if entry.strip_prefix:
        data["strip_prefix"] = True
    if entry.headers:
        data["headers"] = dict(entry.headers)
    options = RouteOptions(entry.strip_prefix, entry.headers)
    return Route(key, entry.target, data, options, source=Source.FILE)


def _listen(listen: schema.ListenSection, folder: str) -> tuple[Address, ...]:
    # Without TLS, being reachable from outside must be asked for.
    hosts = EVERYWHERE if listen.tls or listen.no_ssl else LOOPBACK
    return _addresses(listen, folder, hosts, 8000)


def _redirect(listen: schema.ListenSection) -> tuple[Address, ...]:
    if listen.redirect_port is None:
        return ()
    return tuple(Address(host, listen.redirect_port) for host in listen.host or EVERYWHERE)


def _addresses(
    place: schema.PlaceSection, folder: str, hosts: tuple[str, ...], port: int
) -> tuple[Address, ...]:
    if place.socket is not None:
        return (Address(path=os.path.join(folder, place.socket)),)
    number = port if place.port is None else place.port
    return tuple(Address(host, number) for host in place.host or hosts)


def _redis(redis: schema.RedisSection, folder: str, environ: Mapping[str, str]) -> RedisLogin:
    files = {name: _at(folder, path) for name, path in redis.model_dump().items()}
    return replace(redis_login(environ), **files)


def _worker(file: schema.File, folder: str, passphrase: str | None) -> WorkerConfig:
    to_targets = file.upstream.tls
    return WorkerConfig(
        rules=_rules(file.forward, folder),
        timeouts=Timeouts(**file.timeouts.model_dump()),
        limits=Limits(**file.limits.model_dump()),
        tls=_server_tls(file.listen.tls, folder, passphrase),
        client_tls=ClientTLS(
            cert=_at(folder, to_targets.cert),
            key=_at(folder, to_targets.key),
            ca=_at(folder, to_targets.ca),
            verify=to_targets.verify,
            check_hostname=to_targets.check_hostname,
        ),
        redirect_to=_redirect_to(file.listen),
        log_level=file.log_level,
        access_log=_access_log(file.access_log, folder),
        tcp_keepalive=TcpKeepalive(**file.tcp_keepalive.model_dump()),
        log_format=file.log_format,
    )


def _access_log(entry: schema.AccessLogSection | None, folder: str) -> AccessLogConfig | None:
    if entry is None or entry.path == OFF:
        return None
    return AccessLogConfig(anchor_log(entry.path, folder), entry.format)


def _redirect_to(listen: schema.ListenSection) -> int | None:
    if listen.redirect_port is None:
        return None
    return listen.redirect_to or _listen(listen, "")[0].port


def _rules(forward: schema.ForwardSection, folder: str) -> ForwardRules:
    fields = forward.model_dump(exclude={"headers", "error_path"})
    return ForwardRules(
        **fields,
        custom_headers=forward.headers,
        error_path=_at(folder, forward.error_path),
        native_routes=not forward.host_routing,
    )


def _server_tls(
    tls: schema.TLSSection | None, folder: str, passphrase: str | None
) -> ServerTLS | None:
    if tls is None:
        return None
    return ServerTLS(
        cert=os.path.join(folder, tls.cert),
        key=os.path.join(folder, tls.key),
        ca=_at(folder, tls.ca),
        request_cert=tls.client_certificates != "ignore",
        reject_unauthorized=tls.client_certificates == "require",
        passphrase=passphrase or None,
        min_version={"1.2": "TLSv1_2", "1.3": "TLSv1_3"}[tls.min_version],
        ciphers=tls.ciphers,
        dhparam=_at(folder, tls.dhparam),
    )


def _at(folder: str, path: str | None) -> str | None:
    return None if path is None else os.path.join(folder, path)
