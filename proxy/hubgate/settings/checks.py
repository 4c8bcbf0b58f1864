"""Checks of single values, wherever they come from. Lightweight: every start waits for it."""

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from hubgate.errors import ConfigError
from hubgate.redis_address import is_redis, parse_redis
from hubgate.routing.keys import SUBDOMAINS
from hubgate.routing.target import hide_password
from hubgate.settings.urls import check_host, route_key

T = TypeVar("T")

# The values are the same in routes.yaml and in CHP's options.
Level = Literal["debug", "info", "warn", "error"]
LogFormat = Literal["combined", "json"]
MainLogFormat = Literal["text", "json"]
Scheme = Literal["http", "https"]


def stated(check: Callable[[Any], T], value: Any, origin: str) -> T:
    """Return `check(value)`; `origin` is where the value was given.

    Raises the check's ConfigError with `origin` in front of each line.
    """
    try:
        return check(value)
    except ConfigError as error:
        raise ConfigError(*(f"{origin}: {line}" for line in error.lines)) from None


def check_each(check: Callable[[Any], T], values: Iterable[Any]) -> list[T]:
    """Return `check(value)` for each of them. Raises ConfigError with the mistakes of all."""
    checked: list[T] = []
    lines: list[str] = []
    for value in values:
        try:
            checked.append(check(value))
        except ConfigError as error:
            lines += error.lines
    if lines:
        raise ConfigError(*lines)
    return checked


# What a flag or a variable may have for a number. Python takes more: 1_000, infinity, and the
# digits of every script.
_WHOLE = re.compile(r"\s*[0-9]{1,20}\s*\Z")
_DECIMAL = re.compile(r"\s*[-+]?(?:[0-9]{1,20}\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?\s*\Z")
_SHOWN = 60


def shown(value: Any) -> str:
    """Return a value as a line about it shows it: as it is written in routes.yaml, cut if long."""
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)
    if value is None:
        text = "null"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def whole_number(value: Any, what: str, low: int, high: int) -> int:
    """Return `value`, an int or a string of digits, as an int. Raises ConfigError."""
    number = int(value) if isinstance(value, str) and _WHOLE.match(value) else value
    if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
        raise ConfigError(
            f"{shown(value)} is not a valid {what}; write a whole number, {low} to {high}"
        )
    return int(number)  # without the text that one from a file was written as


def number_or_less(value: Any) -> float:
    """Return `value` as a float, -1 if it is not a number."""
    if isinstance(value, str):
        return float(value) if _DECIMAL.match(value) else -1.0
    if isinstance(value, bool) or not isinstance(value, int | float):
        return -1.0
    return float(value)


# Timers allow nothing longer.
_YEAR = 31_536_000


def check_seconds(value: Any) -> float:
    """Return a positive number of seconds. Raises ConfigError."""
    number = number_or_less(value)
    if not 0 < number <= _YEAR:  # which a NaN is not, either
        raise _no_time(value, f"above 0, up to {_YEAR} (a year), such as 75 or 0.5")
    return number


def check_seconds_or_zero(value: Any) -> float:
    """Return a number of seconds that may be 0. Raises ConfigError."""
    number = number_or_less(value)
    if not 0 <= number <= _YEAR:
        raise _no_time(value, f"from 0 to {_YEAR} (a year), such as 5 or 0.5")
    return number or 0.0  # not -0.0


def seconds_within(value: Any, low: float, high: float) -> float:
    """Return a number of seconds in that range. Raises ConfigError."""
    number = number_or_less(value)
    if not low <= number <= high:
        raise _no_time(value, f"from {low:g} to {high:g}")
    return number


def _no_time(value: Any, range_: str) -> ConfigError:
    return ConfigError(f"{shown(value)} is not a valid time; write seconds {range_}")


def check_level(value: Any) -> str:
    """Return our name for a log level; Python's names are accepted too. Raises ConfigError."""
    name = value.strip().lower() if isinstance(value, str) else value
    level = {"warning": "warn", "critical": "error"}.get(name, name) if name else name
    if level not in get_args(Level):
        raise ConfigError(
            f"{shown(value)} is not a valid value; write 'debug', 'info', 'warn' or 'error'"
        )
    return str(level)


def check_listen_host(value: Any) -> str:
    """Return a host to listen on; `*` and "" are all interfaces. Raises ConfigError."""
    if not isinstance(value, str):
        raise ConfigError(
            f"{shown(value)} is not a host; write an address such as 127.0.0.1 or '*'"
        )
    host = value.strip().removeprefix("[").removesuffix("]")
    return "" if host in ("", "*") else check_host(host)


def check_host_names(value: Any) -> tuple[str, ...]:
    """Return host names, in lower case, from a list or a text with commas. Raises ConfigError."""
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list):
        raise ConfigError(f"{shown(value)} is not a list of host names; write [proxy.example.org]")
    return tuple(dict.fromkeys(check_each(_check_host_name, names)))


def _check_host_name(name: Any) -> str:
    if not isinstance(name, str):
        raise ConfigError(f"{shown(name)} is not a host name; write [proxy.example.org]")
    if name.count(":") > 1:
        raise ConfigError(f"{name!r} is an address; those are known, list only names")
    if ":" in name:
        raise ConfigError(f"{name!r} has a scheme or a port; write the host's name alone")
    return check_host(name.strip()).lower()


_REPLICA = re.compile(r"[\w.:/@-]{1,200}", re.ASCII)
_SQLITE = "sqlite:state/routes.db"
_STORES = f"memory:, {_SQLITE} or redis://HOST:6379"


def check_store(value: Any) -> str:
    """Return the address of a route store. Raises ConfigError."""
    text = value if isinstance(value, str) else ""
    scheme, _, rest = text.partition(":")
    named = shown(hide_password(text) if text else value)
    if is_redis(text):
        parse_redis(text)
        return text
    if scheme == "sqlite" and rest.startswith(("//", ":")):
        raise ConfigError(f"{named}: the file comes right after sqlite: as in {_SQLITE}")
    if text == "memory:" or (scheme == "sqlite" and rest and "\0" not in rest):
        return text
    raise ConfigError(f"{named} is not a store; write {_STORES}")


def check_store_flag(address: str) -> str:
    """Return the address of a store that stands in a command line; everybody here can read it.

    Raises ConfigError if a password is in it.
    """
    if hide_password(address) != address and ":" in address.rpartition("@")[0].partition("://")[2]:
        raise ConfigError(
            "the password in it can be read in the list of processes; put it into HUBGATE_STORE"
            " with the address, into HUBGATE_REDIS_PASSWORD, or a file: redis.password_file"
        )
    return address


def check_replica_name(value: Any) -> str:
    """Return the name of a replica. Raises ConfigError."""
    if not isinstance(value, str) or not _REPLICA.fullmatch(value):
        raise ConfigError(
            f"{shown(value)} is not a replica's name; write a word such as proxy-1, or leave it out"
        )
    return value


def folder_mistake(path: str | Path) -> str | None:
    """Return why `path` cannot hold files, None if it is a folder."""
    return None if Path(path).is_dir() else f"{path}: no such folder; create it or give another"


_TOKEN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def check_token_name(value: Any) -> str:
    """Return the name of a token, which stands in logs and metrics. Raises ConfigError."""
    if not isinstance(value, str) or not _TOKEN_NAME.fullmatch(value):
        raise ConfigError(
            f"{shown(value)} is not a name; write one word of letters, digits, dots and dashes,"
            " such as hub-a"
        )
    return value


def check_scope(text: str) -> str:
    """Return a token's scope, HOST/, HOST/PATH or /PATH, spelled as a key. Raises ConfigError."""
    key = route_key(text)
    if key.startswith(SUBDOMAINS):
        raise ConfigError(f"{text!r} has a dot in front; a host's scope has its subdomains anyway")
    return key


def check_workers(value: Any) -> int | str:
    """Return a number of workers, or "auto". Raises ConfigError."""
    if value == "auto":
        return "auto"
    try:
        return whole_number(value, "number of workers", 1, 256)
    except ConfigError:
        raise ConfigError(
            f"{shown(value)} is not a valid number of workers; write 1 to 256, or auto"
        ) from None


def worker_count(workers: int | str) -> int:
    """Return how many workers `workers` means; "auto" is one per core we may use."""
    if isinstance(workers, int):
        return workers
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def anchor_store(store: str, folder: str) -> str:
    """Make the path in a `sqlite:` address relative to `folder`."""
    scheme, _, path = store.partition(":")
    if scheme != "sqlite" or not path or path.startswith((":", "/")):
        return store
    return f"sqlite:{os.path.join(folder, path)}"
