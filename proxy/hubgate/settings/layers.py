"""Flags over the environment over the file: what each may set, and who set what."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from hubgate.errors import ConfigError
from hubgate.settings.access_log import OFF, anchor_log
from hubgate.settings.checks import anchor_store
from hubgate.settings.routes_yaml.document import Place


class Kind(Enum):
    """How the text of a flag or a variable is read."""

    TEXT = "text"
    PATH = "path"
    STORE = "store"
    OUTPUT = "output"
    SWITCH = "switch"


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting that a flag and an environment variable can give."""

    flag: str
    place: Place
    metavar: str
    help: str
    kind: Kind = Kind.TEXT

    @property
    def variable(self) -> str:
        """The environment's name: `--api-port` is HUBGATE_API_PORT."""
        return "HUBGATE_" + self.flag[2:].upper().replace("-", "_")


SETTINGS = (
    Setting("--host", ("listen", "host"), "HOST", "Address to listen on; '*' is all."),
    Setting("--port", ("listen", "port"), "PORT", "Port to listen on (8000)."),
    Setting("--socket", ("listen", "socket"), "PATH", "Unix socket to listen on.", Kind.PATH),
    Setting("--tls-cert", ("listen", "tls", "cert"), "FILE", "Certificate (PEM).", Kind.PATH),
    Setting("--tls-key", ("listen", "tls", "key"), "FILE", "Its private key (PEM).", Kind.PATH),
    Setting("--no-ssl", ("listen", "no_ssl"), "", "TLS ends elsewhere.", Kind.SWITCH),
    Setting("--redirect-port", ("listen", "redirect_port"), "PORT", "HTTP to HTTPS from here."),
    Setting("--redirect-to", ("listen", "redirect_to"), "PORT", "Port that redirects name."),
    Setting("--api-host", ("api", "host"), "HOST", "Address of the REST API (127.0.0.1)."),
    Setting("--api-port", ("api", "port"), "PORT", "Port of the REST API (8001)."),
    Setting("--api-socket", ("api", "socket"), "PATH", "Unix socket of the API.", Kind.PATH),
    Setting("--token-file", ("api", "token_file"), "FILE", "Holds the API's token.", Kind.PATH),
    Setting("--metrics-host", ("metrics", "host"), "HOST", "Address of the metrics (127.0.0.1)."),
    Setting("--metrics-port", ("metrics", "port"), "PORT", "Port of the metrics (none)."),
    Setting("--metrics-socket", ("metrics", "socket"), "PATH", "Or a unix socket.", Kind.PATH),
    Setting("--workers", ("workers",), "N", "Worker processes, or auto: one per core (1)."),
    Setting("--store", ("store",), "STORE", "memory: (default) or sqlite:FILE.", Kind.STORE),
    Setting("--drain-timeout", ("timeouts", "drain"), "SECONDS", "Time to finish at the end (10)."),
    Setting("--pid-file", ("pid_file",), "FILE", "Write the process id there.", Kind.PATH),
    Setting("--log-level", ("log_level",), "LEVEL", "debug, info, warn or error (info)."),
    Setting("--access-log", ("access_log", "path"), "PATH", "Requests; - is stdout.", Kind.OUTPUT),
    Setting("--access-log-format", ("access_log", "format"), "NAME", "combined (default) or json."),
)

_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
# What a higher layer sets makes the other ways to say it, in lower layers, void.
_EXCLUDES: dict[Place, tuple[Place, ...]] = {
    **{
        (section, name): ((section, "socket"),)
        for section in ("listen", "api", "metrics")
        for name in ("host", "port")
    },
    **{
        (section, "socket"): ((section, "host"), (section, "port"))
        for section in ("listen", "api", "metrics")
    },
    ("listen", "no_ssl"): (("listen", "tls"),),
    ("listen", "tls", "cert"): (("listen", "no_ssl"),),
}


@dataclass(frozen=True)
class Layered:
    """The merged settings; `origins` names the flag or variable that gave a place its value."""

    data: dict[str, Any]
    origins: dict[Place, str] = field(default_factory=dict)


def merge(data: Mapping[str, Any], environ: Mapping[str, str], flags: Mapping[str, Any]) -> Layered:
    """Put the environment, then `flags` ({"--port": "8000"}), over a file's `data`.

    Raises ConfigError for a switch in the environment that is neither on nor off.
    """
    # `routes:` with everything under it commented out is no mistake.
    merged = Layered({key: value for key, value in data.items() if value is not None})
    if (log := merged.data.get("access_log")) is False or isinstance(log, str):
        # Spelled out, so that a flag can take the place of a part. YAML reads `off` as false.
        merged.data["access_log"] = {"path": log or OFF}
    given = {s: environ[s.variable] for s in SETTINGS if environ.get(s.variable)}
    _lay(merged, {s: (s.variable, value) for s, value in given.items()})
    chosen = {s: flags[s.flag] for s in SETTINGS if flags.get(s.flag) not in (None, False)}
    _lay(merged, {s: (s.flag, value) for s, value in chosen.items()})
    return merged


def _lay(merged: Layered, layer: Mapping[Setting, tuple[str, Any]]) -> None:
    values = {s: _read(s, origin, value) for s, (origin, value) in layer.items()}
    # All of a layer's exclusions first: a conflict inside one layer is to be seen.
    for setting, value in values.items():
        if value is not False:
            for place in _EXCLUDES.get(setting.place, ()):
                _remove(merged, place)
    for setting, value in values.items():
        _put(merged.data, setting.place, value)
        merged.origins[setting.place] = layer[setting][0]


def _read(setting: Setting, origin: str, value: Any) -> Any:
    if setting.kind is Kind.SWITCH and isinstance(value, str):
        if value.lower() not in _YES + _NO:
            raise ConfigError(f"{origin}: {value!r} is neither on nor off; write 1 or 0")
        return value.lower() in _YES
    if setting.kind is Kind.PATH:
        # A file's own paths are relative to the file; these are relative to who typed them.
        return os.path.abspath(value)
    if setting.kind is Kind.OUTPUT:
        return anchor_log(value, os.getcwd())
    return anchor_store(value, os.getcwd()) if setting.kind is Kind.STORE else value


def _put(data: dict[str, Any], place: Place, value: Any) -> None:
    section: Any = data
    for name in place[:-1]:
        # Copied on the way down: the file's own mapping stays as it was read.
        section[name] = dict(inner) if isinstance(inner := section.get(name, {}), dict) else inner
        section = section[name]
        if not isinstance(section, dict):
            return  # The file's mistake; it is reported as such.
    section[place[-1]] = value


def _remove(merged: Layered, place: Place) -> None:
    section = merged.data.get(str(place[0]))
    if isinstance(section, dict) and place[1] in section:
        merged.data[str(place[0])] = {key: v for key, v in section.items() if key != place[1]}
    for known in [known for known in merged.origins if known[: len(place)] == place]:
        del merged.origins[known]
