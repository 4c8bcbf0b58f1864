"""What a hub's `c.HubgateProxy` says beyond CHP's options, on its way from the hub to its proxy.

The hub checks it with the schema of routes.yaml and passes it on in the environment, so that it
reaches the proxy whatever command starts it. Light until there is something to read.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any

from hubgate.errors import ConfigError
from hubgate.settings.catalogue import FLAGS, SETTINGS, variables_of
from hubgate.settings.clashes import clashes
from hubgate.settings.setting import Flag, Place, Setting, dotted
from hubgate.settings.values import Settings

VARIABLE = "HUBGATE_SETTINGS"
"""The environment variable, JSON: keys of routes.yaml, with dots, and their values."""

RECOVERY = variables_of("recovery_file")[0]
"""The environment variable that says 0 for no recovery file."""

OWNER = "c.HubgateProxy"

_URL, _TOKEN = "c.JupyterHub.bind_url", f"{OWNER}.auth_token"
LEFT_OUT: dict[str, str] = {
    **{f"listen.{name}": _URL for name in ("host", "port", "socket")},
    "listen.no_ssl": "nothing: the hub warns when there is no TLS",
    "listen.tls.cert": "c.JupyterHub.ssl_cert",
    "listen.tls.key": "c.JupyterHub.ssl_key",
    **{f"api.{name}": f"{OWNER}.api_url" for name in ("host", "port", "socket")},
    "api.token_file": _TOKEN,
    "api.tokens": _TOKEN,  # a proxy that the hub starts is this hub's alone
    "api.open": _TOKEN,
    **{
        f"api.tls.{name}": "c.JupyterHub.internal_ssl"
        for name in ("cert", "key", "min_version", "ca", "ciphers", "dhparam")
    },
    "api.tls.client_certificates": "c.JupyterHub.internal_ssl",
    "pid_file": f"{OWNER}.pid_file",
    "log_level": f"{OWNER}.log_level",
    "forward.host_routing": "c.JupyterHub.subdomain_host",
    "routes": f"{OWNER}.extra_routes",
    "own_store": "nothing: routes are in memory, and in a recovery file",
    "recovery_file": f"{OWNER}.recovery",
    "worker.access_log.required": "nothing: a start needs its access log",
    "api_token": _TOKEN,
    "worker.tls.passphrase": "CONFIGPROXY_SSL_KEY_PASSPHRASE in the hub's environment",
    "worker.tls.max_version": "nothing: TLS 1.3 is never left out",
    "api_tls.passphrase": "nothing: the hub's own keys have none",
    "api_tls.max_version": "nothing: TLS 1.3 is never left out",
    "redis.password": "HUBGATE_REDIS_PASSWORD in the hub's environment",
    "redis.sentinel_password": "HUBGATE_REDIS_SENTINEL_PASSWORD in the hub's environment",
    "config_file": "nothing: there is no file",
    "initial_routes": "nothing: the hub posts its routes itself",
}
"""The settings that a hub decides otherwise, each with what does.

They are named by their keys in routes.yaml; those that no file has, by their fields.
"""


def name_of(setting: Setting) -> str:
    """Return the trait's name: as the flag's, else as the key in routes.yaml."""
    if isinstance(setting.given, Flag):
        return setting.given.name[2:].replace("-", "_")
    return setting.key.replace(".", "_")


TRAITS: dict[str, Setting] = {
    name_of(each): each for each in SETTINGS if each.key and each.key not in LEFT_OUT
}
"""The settings that `c.HubgateProxy` has, by the names there."""

# The drop-in reads these from variables of their own, which costs a start less.
_BY_VARIABLE = {
    *("workers", "store", "access_log.path", "access_log.format", "timeouts.drain", "api.hosts"),
    "log_format",
}

_NAMES: dict[Place, str] = {each.place: f"{OWNER}.{name}" for name, each in TRAITS.items()}


def check_value(name: str, value: object) -> None:
    """Raise ConfigError, one line, unless `value` is one for that trait by itself."""
    from pydantic import TypeAdapter, ValidationError

    from hubgate.settings.routes_yaml.mistakes import reasons
    from hubgate.settings.routes_yaml.schema import kind_at

    place = TRAITS[name].place
    try:
        TypeAdapter[Any](kind_at(place)).validate_python(value)
    except ValidationError as error:
        raise ConfigError(f"{OWNER}.{name}: {reasons(error, place)[0]}") from None


def environment(given: Mapping[str, object], tls: bool) -> dict[str, str]:
    """Return the variables that pass on `given`, values by their traits' names.

    `tls` says whether the proxy has a certificate. Raises ConfigError for values that do not fit
    together.
    """
    by_key = {TRAITS[name].key: value for name, value in given.items()}
    _read(by_key, "cert.pem" if tls else None)
    variables = {}
    for name, value in given.items():
        setting = TRAITS[name]
        if setting.key in _BY_VARIABLE:
            text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            variables[setting.variables[0]] = text
    rest = {key: value for key, value in by_key.items() if key not in _BY_VARIABLE}
    if rest:
        variables[VARIABLE] = json.dumps(rest)
    return variables


def with_hub_settings(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """Return `settings` with what the hub has said in addition. Raises ConfigError."""
    if environ.get(RECOVERY) == "0":
        settings = dataclasses.replace(settings, recovery_file=None)
    text = environ.get(VARIABLE)
    if not text:
        return settings
    try:
        given = dict(json.loads(text))
    except (ValueError, TypeError):
        raise ConfigError(
            f"{VARIABLE}: cannot be read; it is for a hub, write {OWNER} in its configuration"
        ) from None
    tls = settings.worker.tls
    wanted = _read(given, tls.cert if tls else None)
    for field in _fields(given):
        settings = _put(settings, field, _get(wanted, field))
    if given.get("forward.error_path") is not None:  # the hub names its own pages in any case
        settings = _put(settings, "worker.rules.error_target", None)
    if settings.redirect:
        port = settings.worker.redirect_to or settings.listen[0].port
        settings = _put(settings, "worker.redirect_to", port)
    if lines := [*_mistakes(settings), *clashes(settings, _where)]:
        raise ConfigError(*lines)
    return settings


def _fields(given: Mapping[str, object]) -> Iterator[str]:
    for setting in TRAITS.values():
        if setting.key in given:
            yield from setting.fields


def _read(given: Mapping[str, object], cert: str | None) -> Settings:
    """Return the settings of a routes.yaml with these keys. Raises ConfigError."""
    from pydantic import ValidationError

    from hubgate.settings.routes_yaml.mistakes import Provenance, describe
    from hubgate.settings.routes_yaml.resolve import resolve
    from hubgate.settings.routes_yaml.schema import File

    needs_tls = [key for key in given if key.startswith(("listen.tls.", "listen.redirect_"))]
    if needs_tls and cert is None:
        names = ", ".join(_NAMES.get(tuple(key.split(".")), key) for key in needs_tls)
        raise ConfigError(f"{names}: needs TLS; set c.JupyterHub.ssl_cert and ssl_key")
    data: dict[str, Any] = {"listen": {"tls": {"cert": cert, "key": cert}}} if cert else {}
    for key, value in given.items():
        section = data
        *sections, last = key.split(".")
        for name in sections:
            section = section.setdefault(name, {})
        section[last] = value
    if list(data.get("access_log", ())) == ["format"]:
        data["access_log"]["path"] = "-"  # the format of a log that the command names
    try:
        file = File.model_validate(data)
    except ValidationError as error:
        origins = {
            place: name for place, name in _NAMES.items() if ".".join(map(str, place)) in given
        }
        raise ConfigError(*describe(error, Provenance(origins=origins))) from None
    return resolve(file, (), None, {})


def _mistakes(settings: Settings) -> Iterator[str]:
    from hubgate.certificates.checks import client_mistakes, server_mistakes
    from hubgate.settings.checks import folder_mistake

    if settings.worker.tls is not None:
        yield from server_mistakes(settings.worker.tls, _tls_name("listen"), "the passphrase")
    yield from client_mistakes(settings.worker.client_tls, _tls_name("upstream"))
    folder = settings.worker.rules.error_path
    if folder and (mistake := folder_mistake(folder)):
        yield f"{OWNER}.forward_error_path: {mistake}"


def _tls_name(section: str) -> Any:
    return lambda name: _NAMES.get((section, "tls", name), f"{section}.tls.{name}".rstrip("."))


def _where(place: Place) -> str:
    flag = next((flag.name for flag, setting in FLAGS.items() if setting.place == place), "")
    return _NAMES.get(place) or flag or dotted(place)


def _get(owner: Any, field: str) -> Any:
    for name in field.split("."):
        owner = getattr(owner, name)
    return owner


def _put(owner: Any, field: str, value: Any) -> Any:
    name, _, rest = field.partition(".")
    inner = _put(getattr(owner, name), rest, value) if rest else value
    return dataclasses.replace(owner, **{name: inner})
