"""Flags over the environment over the file: merging them, and recording which set what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hubgate.current_folder import anchored, current_folder
from hubgate.errors import ConfigError
from hubgate.settings.access_log import OFF, anchor_log, check_log_path
from hubgate.settings.catalogue import FLAGS
from hubgate.settings.checks import anchor_store, check_store_flag, stated
from hubgate.settings.setting import Flag, Kind, Place

_YES, OFF_WORDS = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")
_PLACES = ("listen", "api", "metrics", "health")
# A setting from a higher layer voids its alternatives in lower layers.
_EXCLUDES: dict[Place, tuple[Place, ...]] = {
    **{(section, name): ((section, "socket"),) for section in _PLACES for name in ("host", "port")},
    **{(section, "socket"): ((section, "host"), (section, "port")) for section in _PLACES},
    ("api", "open"): (("api", "token_file"), ("api", "tokens")),
    ("api", "token_file"): (("api", "open"),),
    ("listen", "no_ssl"): (("listen", "tls"),),
    ("listen", "tls", "cert"): (("listen", "no_ssl"),),
}


@dataclass(frozen=True)
class Layered:
    """The merged settings; `origins` maps a place to the flag or variable that set it.

    `mistakes` are lines about flags and variables whose text says nothing: they are left out.
    """

    data: dict[str, Any]
    origins: dict[Place, str] = field(default_factory=dict)
    mistakes: list[str] = field(default_factory=list)


def merge(data: Mapping[str, Any], environ: Mapping[str, str], flags: Mapping[str, Any]) -> Layered:
    """Put the environment, then `flags` ({"--port": "8000"}), over a file's `data`."""
    # `routes:` with everything under it commented out is not a mistake.
    merged = Layered({key: value for key, value in data.items() if value is not None})
    if (log := merged.data.get("access_log")) is False or isinstance(log, str):
        # Spelled out, so that a flag can replace part of it. YAML reads `off` as false.
        merged.data["access_log"] = {"path": log or OFF}
    given = {flag: environ[flag.variable] for flag in FLAGS if environ.get(flag.variable)}
    _lay(merged, {flag: (flag.variable, value) for flag, value in given.items()})
    chosen = {flag: flags[flag.name] for flag in FLAGS if flags.get(flag.name) not in (None, False)}
    _lay(merged, {flag: (flag.name, value) for flag, value in chosen.items()})
    return merged


def _lay(merged: Layered, layer: Mapping[Flag, tuple[str, Any]]) -> None:
    values: dict[Place, Any] = {}
    for flag, (origin, text) in layer.items():
        try:
            values[FLAGS[flag].place] = _read(flag.kind, origin, text)
        except ConfigError as error:
            merged.mistakes.extend(error.lines)
    # All of a layer's exclusions first, so that a conflict within one layer is reported.
    for place, value in values.items():
        if value is not False:
            for excluded in _EXCLUDES.get(place, ()):
                _remove(merged, excluded)
    for place, value in values.items():
        _put(merged.data, place, value)
    merged.origins.update({FLAGS[flag].place: origin for flag, (origin, _) in layer.items()})


def _read(kind: Kind, origin: str, value: Any) -> Any:
    if kind is Kind.SWITCH and isinstance(value, str):
        if value.lower() not in _YES + OFF_WORDS:
            raise ConfigError(f"{origin}: {value!r} is neither on nor off; write 1 or 0")
        return value.lower() in _YES
    if kind is Kind.PATH:
        # A file's own paths are relative to the file; these are relative to the working directory.
        return anchored(value)
    if kind is Kind.OUTPUT:
        return anchor_log(stated(check_log_path, value, origin), current_folder())
    if kind is Kind.STORE:
        store: str = stated(check_store_flag, value, origin) if origin.startswith("--") else value
        return anchor_store(store, current_folder())
    return value


def _put(data: dict[str, Any], place: Place, value: Any) -> None:
    section: Any = data
    for name in place[:-1]:
        # Copied on the way down: the file's own mapping stays as it was read.
        section[name] = dict(inner) if isinstance(inner := section.get(name, {}), dict) else inner
        section = section[name]
        if not isinstance(section, dict):
            return  # The file's mistake, reported later.
    section[place[-1]] = value


def _remove(merged: Layered, place: Place) -> None:
    section = merged.data.get(str(place[0]))
    if isinstance(section, dict) and place[1] in section:
        merged.data[str(place[0])] = {key: v for key, v in section.items() if key != place[1]}
    for known in [known for known in merged.origins if known[: len(place)] == place]:
        del merged.origins[known]
