"""The kinds of values in routes.yaml, each with its own message about what would be right."""

from collections.abc import Callable
from ipaddress import ip_network
from typing import Annotated, Any

from pydantic import BeforeValidator

from hubgate.errors import ConfigError
from hubgate.settings.access_log import check_log_path
from hubgate.settings.checks import (
    check_each,
    check_host_names,
    check_level,
    check_listen_host,
    check_replica_name,
    check_scope,
    check_seconds,
    check_seconds_or_zero,
    check_store,
    check_token_name,
    check_workers,
    seconds_within,
    shown,
    whole_number,
)
from hubgate.settings.urls import check_header, check_socket_path, check_target

PRIVATE_NETWORKS = (
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
)


def _checked(check: Callable[[Any], Any]) -> BeforeValidator:
    """Turn a ConfigError into a ValueError, the only one of the two that pydantic collects."""

    def validate(value: Any) -> Any:
        try:
            return check(value)
        except ConfigError as error:
            raise ValueError(*error.lines) from None

    return BeforeValidator(validate)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{shown(value)} is not text; write some, in quotes if needed")
    return value.strip()


# What YAML 1.1 and other programs take for a switch, and a file must not mean by accident.
_SWITCHES = {
    **dict.fromkeys(("yes", "y", "on", "true", "1"), "true"),
    **dict.fromkeys(("no", "n", "off", "false", "0"), "false"),
}


def _switch(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    meant = _SWITCHES.get(str(value).strip().lower())
    if meant is None:
        raise ConfigError(f"{shown(value)} is neither true nor false; write one of them")
    quotes = ", without quotes" if str(value).strip().lower() == meant else ""
    raise ConfigError(f"{shown(value)} is not a switch in YAML 1.2; write {meant}{quotes}")


def _hosts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        # Flags and the environment have no lists.
        value = value.split(",")
    if not isinstance(value, list) or not value:
        raise ConfigError(f"{shown(value)} is not a host; write one address or a list of them")
    hosts = tuple(dict.fromkeys(check_each(check_listen_host, value)))
    # One socket serves all interfaces of both families; a second one would clash with it.
    return ("",) if "" in hosts or {"0.0.0.0", "::"} <= set(hosts) else hosts


def _trusted_peers(value: Any) -> tuple[str, ...] | None:
    if value == "all":
        return None
    if not isinstance(value, list):
        raise ConfigError(f"{shown(value)}: write a list of networks such as [10.0.0.0/8], or all")
    return tuple(network for networks in check_each(_networks, value) for network in networks)


def _networks(value: Any) -> tuple[str, ...]:
    if value == "private":
        return PRIVATE_NETWORKS
    try:
        return (str(ip_network(value if isinstance(value, str) else "?")),)
    except ValueError as error:
        reason = str(error) if "host bits" in str(error) else f"{shown(value)} is not a network"
        raise ConfigError(f"{reason}; write a network such as 10.0.0.0/8, or private") from None


def check_headers(value: Any) -> tuple[tuple[str, str], ...]:
    """Return a mapping of headers as pairs. Raises ConfigError."""
    if not isinstance(value, dict):
        # The value is not repeated: headers hold secrets.
        raise ConfigError("is not a mapping of headers; write {X-Team: physics}")
    return tuple(check_each(_header, value.items()))


def _header(item: tuple[Any, Any]) -> tuple[str, str]:
    name, text = item
    if not isinstance(name, str | int | float) or isinstance(name, bool):
        raise ConfigError(f"{shown(name)} is not text; put the header's name in quotes")
    if not isinstance(text, (str, int, float)) or isinstance(text, bool):
        raise ConfigError(f"the value of {name!r} is not text; put it in quotes")
    return check_header(str(name), str(text))


TokenName = Annotated[str, _checked(check_token_name)]
ScopeText = Annotated[str, _checked(lambda value: check_scope(_text(value)))]
Port = Annotated[int, _checked(lambda value: whole_number(value, "port", 0, 65535))]
HeadBytes = Annotated[int, _checked(lambda v: whole_number(v, "size in bytes", 1024, 1 << 24))]
ByteCount = Annotated[int, _checked(lambda value: whole_number(value, "size in bytes", 1, 1 << 50))]
Count = Annotated[int, _checked(lambda value: whole_number(value, "count", 1, 1 << 24))]
CountOrZero = Annotated[int, _checked(lambda value: whole_number(value, "count", 0, 1 << 24))]
# Linux takes no more.
WholeSeconds = Annotated[int, _checked(lambda value: whole_number(value, "time", 1, 32767))]
ProbeCount = Annotated[int, _checked(lambda value: whole_number(value, "count", 1, 127))]
Workers = Annotated[int | str, _checked(check_workers)]
Seconds = Annotated[float, _checked(check_seconds)]
SecondsOrZero = Annotated[float, _checked(check_seconds_or_zero)]
# A hub gives up after 30 s: by then a change is answered, and another table in Redis is settled.
ReplicaWait = Annotated[float, _checked(lambda value: seconds_within(value, 0, 30))]
# It is renewed each third of it, and one renewal may come late by a busy moment of ours or of
# Redis. A change may wait as long for a hubgate that was killed in an upgrade.
ReplicaLease = Annotated[float, _checked(lambda value: seconds_within(value, 1, 60))]
# Whoever has lost Redis looks for it four times a second, and has to be heard before this ends.
ReplicaSettle = Annotated[float, _checked(lambda value: seconds_within(value, 0.5, 20))]
Switch = Annotated[bool, _checked(_switch)]
LogLevel = Annotated[str, _checked(check_level)]
Text = Annotated[str, _checked(_text)]
FilePath = Annotated[str, _checked(_text)]
LogPath = Annotated[str, _checked(check_log_path)]
SocketPath = Annotated[str, _checked(lambda value: check_socket_path(_text(value)))]
Hosts = Annotated[tuple[str, ...], _checked(_hosts)]
HostNameList = Annotated[tuple[str, ...], _checked(check_host_names)]
TargetURL = Annotated[str, _checked(lambda value: check_target(_text(value)))]
Store = Annotated[str, _checked(check_store)]
ReplicaName = Annotated[str, _checked(check_replica_name)]
Networks = Annotated[tuple[str, ...] | None, _checked(_trusted_peers)]
HeaderPairs = Annotated[tuple[tuple[str, str], ...], _checked(check_headers)]
