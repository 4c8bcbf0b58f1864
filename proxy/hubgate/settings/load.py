"""Reading all settings, as a whole or not at all."""

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hubgate.certificates.checks import client_mistakes, server_mistakes
from hubgate.errors import ConfigError
from hubgate.model import Route
from hubgate.routing.keys import SUBDOMAINS
from hubgate.settings.access_log import access_log_mistake
from hubgate.settings.catalogue import variables_of
from hubgate.settings.checks import folder_mistake, stated
from hubgate.settings.clashes import clashes
from hubgate.settings.exposure import exposure_mistakes
from hubgate.settings.layers import Layered, merge
from hubgate.settings.routes_yaml.document import Document, read_document
from hubgate.settings.routes_yaml.mistakes import Provenance, describe, without_mistakes
from hubgate.settings.routes_yaml.resolve import file_route, resolve
from hubgate.settings.routes_yaml.schema import APISection, File
from hubgate.settings.routes_yaml.tokens import read_tokens
from hubgate.settings.setting import Where
from hubgate.settings.token import token_from_environment, token_from_file
from hubgate.settings.urls import route_key
from hubgate.settings.values import Settings
from hubgate.settings.variables import without_service_links

MoreMistakes = Callable[[Settings, Where], Iterable[str]]


def load(
    path: Path | None,
    flags: Mapping[str, Any],
    environ: Mapping[str, str],
    more: MoreMistakes = lambda settings, where: (),
) -> Settings:
    """Read the file at `path` (None: no file) under the environment and `flags`.

    `flags` is what was given on the command line: {"--port": "8000"}. May be called again for a
    reload. Raises ConfigError with a line for each mistake, those that `more` finds among them.
    """
    environ = without_service_links(environ)
    document = read_document(path) if path else Document()
    layered = merge(document.data, environ, flags)
    source = Provenance(str(path) if path else None, document.lines, layered.origins)
    file, lines, wrong = _checked(layered, source)
    lines = [*document.mistakes, *layered.mistakes, *lines]
    settings = Settings()
    if file is not None:
        settings = resolve(file, _routes(file, source), path, environ)
        lines += _file_mistakes(settings, source)
        try:
            settings = _with_tokens(settings, file, source, environ)
        except ConfigError as error:
            lines += error.lines
            wrong.add("api")
        sure = _without(settings, wrong)
        lines += clashes(sure, source.where)
        if any(line.startswith(source.where(("pid_file",)) + ": ") for line in lines):
            sure = replace(sure, pid_file=None)  # another file has no pid in it, either
        lines += exposure_mistakes(sure, file.listen.no_ssl, source.where)
        lines += more(sure, source.where)
    if lines:
        raise ConfigError(*source.in_order(lines))
    return settings


def _without(settings: Settings, wrong: Collection[str]) -> Settings:
    """Return `settings` without the addresses of sections with mistakes.

    Without its certificate or token, an address would look like one more of them.
    """
    addresses = {
        "listen": ("listen", "redirect"),
        "api": ("api",),
        "metrics": ("metrics",),
        "health": ("health",),
    }
    without: dict[str, Any] = {name: () for section in wrong for name in addresses.get(section, ())}
    return replace(settings, **without)


def _checked(layered: Layered, source: Provenance) -> tuple[File | None, list[str], set[str]]:
    """Return the file as far as it is right, its mistakes, and the sections they are in.

    All are looked for, so that one run reports every mistake in the file.
    """
    lines: list[str] = []
    file, data, wrong = None, layered.data, set[str]()
    try:
        file = File.model_validate(data)
    except ValidationError as error:
        lines += describe(error, source)
        wrong = {str(finding["loc"][0]) for finding in error.errors() if finding["loc"]}
        with suppress(ValidationError):
            file = File.model_validate(without_mistakes(data, error))
    routes, forward = data.get("routes"), data.get("forward")
    keys = [key for key in routes if isinstance(key, str)] if isinstance(routes, dict) else []
    host_routing = isinstance(forward, dict) and forward.get("host_routing") is True
    return file, [*lines, *_route_keys(keys, host_routing, source)[1]], wrong


def _routes(file: File, source: Provenance) -> tuple[Route, ...]:
    keys, _ = _route_keys(file.routes, file.forward.host_routing, source)
    return tuple(file_route(key, file.routes[text]) for key, text in keys.items())


def _route_keys(
    texts: Iterable[str], host_routing: bool, source: Provenance
) -> tuple[dict[str, str], list[str]]:
    """Return ({key: its text in the file}, mistakes)."""
    keys: dict[str, str] = {}
    lines = []
    for text in texts:
        where = source.where(("routes", text))
        try:
            key = route_key(text)
        except ConfigError as error:
            lines.append(f"{where}: {error}")
            continue
        if host_routing and key.startswith(SUBDOMAINS):
            lines.append(f"{where}: no subdomains go with forward.host_routing; drop one of them")
        if host_routing and not key.startswith("/"):
            # With CHP's host routing, the host is the first path segment.
            key = "/" + key.rstrip("/")
        if key in keys:
            lines.append(f"{where}: is the same route as {keys[key]!r}; keep one")
        keys.setdefault(key, text)
    return keys, lines


def _file_mistakes(settings: Settings, source: Provenance) -> list[str]:
    """Return a line for each file or folder named in the settings that cannot be used."""
    lines: list[str] = []
    for tls, section, secret in (
        (settings.worker.tls, "listen", variables_of("worker.tls.passphrase")[0]),
        (settings.api_tls, "api", variables_of("api_tls.passphrase")[0]),
    ):
        if tls is not None:
            lines += server_mistakes(tls, partial(_tls_place, source, section), secret)
    client = settings.worker.client_tls
    lines += client_mistakes(client, partial(_tls_place, source, "upstream"))
    folder = settings.worker.rules.error_path
    if folder and (mistake := folder_mistake(folder)):
        lines.append(f"{source.where(('forward', 'error_path'))}: {mistake}")
    log = settings.worker.access_log
    if log is not None and (mistake := access_log_mistake(log.path)):
        lines.append(f"{source.where(('access_log', 'path'))}: {mistake}")
    return lines


def _tls_place(source: Provenance, section: str, name: str) -> str:
    return source.where((section, "tls", name) if name else (section, "tls"))


def _with_tokens(
    settings: Settings, file: File, source: Provenance, environ: Mapping[str, str]
) -> Settings:
    settings = _with_token(settings, file.api, source, environ)
    folder = settings.config_file.parent if settings.config_file else Path()
    tokens = read_tokens(file, folder, source, settings.api_token)
    return replace(settings, api_tokens=tokens)


def _with_token(
    settings: Settings,
    api: APISection,
    source: Provenance,
    environ: Mapping[str, str],
) -> Settings:
    place, opened = ("api", "token_file"), source.origins.get(("api", "open"), "")
    from_flag = any(name.startswith("--") for name in (source.origins.get(place, ""), opened))
    token = None if from_flag else token_from_environment(environ)
    if token is not None and api.open and opened:
        raise ConfigError(f"{opened}: a token is set as well; keep one of them")
    if token is not None or api.token_file is None:
        return replace(settings, api_token=token, api_open=api.open and token is None)
    file = (settings.config_file.parent if settings.config_file else Path()) / api.token_file
    token = stated(token_from_file, str(file), source.where(place))
    return replace(settings, api_token=token, api_token_file=file)
