"""CHP's options as given: by a flag, else by the variable of the same setting of hubgate's."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from hubgate.current_folder import anchored
from hubgate.settings.catalogue import FLAGS, variables_of
from hubgate.settings.checks import check_level, stated, whole_number
from hubgate.settings.setting import Place, dotted
from hubgate.settings.variables import without_service_links

# Each flag of `proxyctl serve` whose setting CHP's command line has, under another name or the
# same.
OPTIONS = {
    "--host": "ip",
    "--port": "port",
    "--socket": "socket",
    "--tls-cert": "ssl_cert",
    "--tls-key": "ssl_key",
    "--redirect-port": "redirect_port",
    "--redirect-to": "redirect_to",
    "--api-host": "api_ip",
    "--api-port": "api_port",
    "--api-socket": "api_socket",
    "--metrics-host": "metrics_ip",
    "--metrics-port": "metrics_port",
    "--metrics-socket": "metrics_socket",
    "--workers": "workers",
    "--store": "storage_backend",
    "--pid-file": "pid_file",
    "--log-level": "log_level",
    "--access-log": "access_log",
    "--access-log-format": "access_log_format",
}
# The hub sets CHP's variable for its proxy; ours may be set for another program.
TOKENS = tuple(reversed(variables_of("api_token")))
# Those it has no option for: these give `Settings` by their variable alone ...
ONLY_VARIABLES = {
    "--token-file": "file with the API's token",
    "--api-hosts": "more names of the API's and metrics' host",
    "--log-format": "how log lines are written: text or json (text)",
    "--drain-timeout": "seconds to finish requests at exit (10)",
    "--drain-delay": "seconds from not ready to closed ports at exit (0)",
    "--health-host": "address of the health pages (127.0.0.1)",
    "--health-port": "port of the health pages (the API's)",
    "--health-socket": "unix socket of the health pages",
}
# ... and these say how the drop-in is anyway: open without a token, and without TLS public.
ALREADY_SO = ("--api-open", "--no-ssl")

VARIABLES = {
    option: flag.variable for flag in FLAGS if (option := OPTIONS.get(flag.name)) is not None
}
"""The environment variable of each option that has one."""

# Paths that go on meaning the same when the current folder is gone. Not those of sockets, whose
# length is limited: they are used once, at the start.
_FILES = (
    *(f"{side}ssl_{name}" for side in ("", "api_", "client_") for name in ("key", "cert", "ca")),
    *("ssl_dhparam", "error_path", "pid_file"),
)
_PORTS = ("port", "redirect_port", "redirect_to", "api_port", "metrics_port")
# An option on the command line voids its alternatives in the environment.
_EXCLUDES = {
    **{
        f"{side}{name}": (f"{side}socket",)
        for side in ("", "api_", "metrics_")
        for name in ("ip", "port")
    },
    **{f"{side}socket": (f"{side}ip", f"{side}port") for side in ("", "api_", "metrics_")},
}


# Settings that proxyctl has no flag for, and CHP's command line has.
_OTHERS: dict[Place, str] = {
    **{("listen", "tls", name): f"--ssl-{name}" for name in ("ca", "dhparam")},
    **{("api", "tls", name): f"--api-ssl-{name}" for name in ("cert", "key", "ca")},
    **{("upstream", "tls", name): f"--client-ssl-{name}" for name in ("cert", "key", "ca")},
}


class ChpOptions(Mapping[str, Any]):
    """The options by name, such as "api_port"; None for one that was not given.

    Those that `given`, the command line, lacks are taken from `environ`. Raises ConfigError.
    """

    def __init__(self, given: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        self._values = dict(given)
        self._from: dict[str, str] = {}
        self.environ = without_service_links(environ)
        voided = {
            name for each in given if _stated(given[each]) for name in _EXCLUDES.get(each, ())
        }
        for option, variable in VARIABLES.items():
            text = self.environ.get(variable)
            if text and not _stated(given[option]) and option not in voided:
                self._values[option] = _read(option, variable, text)
                self._from[option] = variable
        for option in _FILES:
            if path := self._values.get(option):
                self._values[option] = anchored(path)

    def __repr__(self) -> str:
        return f"<ChpOptions {self._values}>"

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def origin(self, name: str) -> str:
        """Return what gave the option, or could: its variable, else its flag."""
        return self._from.get(name) or "--" + name.replace("_", "-")

    def where(self, place: Place) -> str:
        """Return what gave, or could give, the setting that is at that place in routes.yaml."""
        flag = next((flag for flag, setting in FLAGS.items() if setting.place == place), None)
        if flag is not None and flag.name in OPTIONS:
            return self.origin(OPTIONS[flag.name])
        return flag.variable if flag is not None else _OTHERS.get(place, dotted(place))


def _stated(value: Any) -> bool:
    return value is not None and value is not False


def _read(option: str, variable: str, text: str) -> Any:
    checks: dict[str, Callable[[Any], Any]] = {
        **dict.fromkeys(_PORTS, lambda value: whole_number(value, "port", 0, 65535)),
        "log_level": check_level,
    }
    return stated(checks[option], text, variable) if option in checks else text
