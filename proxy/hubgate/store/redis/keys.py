"""The table's keys in Redis, and routes as their values."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import NamedTuple

from hubgate.errors import StoreError
from hubgate.model import Route
from hubgate.redis_address import RedisAddress
from hubgate.store.records import decode, encode

FORMAT = 2
"""Of what is stored. No release has written 1, and none reads it."""

LOG_ENTRIES = 20_000
LOG_BYTES = 10_000_000
"""Of texts in the log, about 50,000 routes of a hub; only the latest change may be larger."""

ENTRY_ROUTES = 500
"""A change of more routes is not in the log: who follows loads the table."""

GONE = 50_000
"""Removed keys whose removal is remembered."""

_NAME = 20  # characters of a hash


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A change of the table: its revision, who wrote it, and the routes; `whole` if too many.

    It was made at `moment`, and `moments` is when routes that were put had been active, if not then
    (epoch seconds). Revisions of another `history` say nothing here; "" is our own. `versions`, by
    key, are those of changes that were handed in; `version` is that of all others.
    """

    revision: int
    writer: str
    put: tuple[Route, ...] = ()
    delete: tuple[str, ...] = ()
    moments: Mapping[str, float] = field(default_factory=dict)
    whole: bool = False
    history: str = ""
    version: int = 0
    versions: Mapping[str, int] = field(default_factory=dict)
    moment: float = 0.0

    def version_of(self, key: str) -> int:
        """Return when that key was changed; see `VersionedTable`."""
        return self.versions.get(key, self.version)

    def active(self, key: str) -> float:
        """Return when a route that was put had been active, in seconds since the epoch."""
        return self.moments.get(key, self.moment)


class Row(NamedTuple):
    """A value of the table: the revision that put it, its version, and its text."""

    revision: int
    version: int
    text: bytes


@dataclass
class VersionedTable:
    """Routes by key, and when they were changed.

    A version is a hybrid logical clock: microseconds since the epoch by Redis's clock, and always
    later than every version that Redis has seen. Unlike a revision it says something in each
    history. `gone` is when keys were removed, by `gone_name`: the latest of them.
    """

    routes: dict[str, Route] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    gone: dict[str, int] = field(default_factory=dict)

    def take(self, entry: LogEntry) -> None:
        """Change it as the entry says."""
        for route in entry.put:
            self.routes[route.key] = route
            self.versions[route.key] = entry.version_of(route.key)
            if self.gone:
                self.gone.pop(gone_name(route.key), None)
        for key in entry.delete:
            self.routes.pop(key, None)
            self.versions.pop(key, None)
            self.gone[gone_name(key)] = entry.version_of(key)
        if len(self.gone) > GONE + GONE // 50:  # sorted now and then: as Redis, it keeps the latest
            latest = sorted(self.gone.items(), key=itemgetter(1))[-GONE:]
            self.gone = dict(latest)


class TableKeys:
    """The full names of the keys of one table."""

    def __init__(self, address: RedisAddress) -> None:
        name = address.key
        self.meta, self.table, self.log = name("meta"), name("table"), name("log")
        self.activity, self.active = name("activity"), name("active")
        self.leases, self.replicas = name("leases"), name("replicas")
        self.acknowledged, self.claims = name("acknowledged"), name("claims")
        self.secret, self.gone = name("secret"), name("gone")
        self._name = name

    def types(self) -> dict[str, str]:
        """Return what Redis calls the type of each of these keys."""
        return {
            **dict.fromkeys((self.meta, self.table, self.activity, self.replicas), "hash"),
            **dict.fromkeys((self.log, self.active, self.acknowledged), "stream"),
            **{self.leases: "zset", self.claims: "hash", self.secret: "string"},
            self.gone: "zset",
        }

    def change(self, change_id: str) -> str:
        """Return the key that remembers a change."""
        return self._name(f"change:{change_id}")

    def taken(self, history: str) -> tuple[str, str, str]:
        """Return the keys of a table that is about to begin a history: it, its activity, `gone`."""
        table, activity, gone = (f"{each}:{history}" for each in ("table", "activity", "gone"))
        return self._name(table), self._name(activity), self._name(gone)


def route_text(route: Route) -> str:
    """Return a route as a change's script takes it."""
    return "\n".join(encode(route))


def gone_name(key: str) -> str:
    """Return what a removed key is remembered by, as short for a long one; `change.lua` has it."""
    return hashlib.sha1(key.encode(), usedforsecurity=False).hexdigest()[:_NAME]


def row_text(revision: int, version: int, route: Route) -> str:
    """Return the value of a route in the table."""
    return f"{revision} {version}\n{route_text(route)}"


def read_row(key: bytes, value: bytes) -> Row:
    """Return the parts of a value of the table. Raises StoreError."""
    mark, _, text = value.partition(b"\n")
    try:
        revision, version = mark.split()
        return Row(int(revision), int(version), text)
    except ValueError as error:
        raise _unreadable(key, error) from None


def read_value(key: bytes, value: bytes) -> tuple[Row, Route]:
    """Return a value of the table, and its route. Raises StoreError."""
    row = read_row(key, value)
    try:
        return row, read_route(key, row.text)
    except ValueError as error:
        raise _unreadable(key, error) from None


def _unreadable(key: bytes, error: ValueError) -> StoreError:
    return StoreError(f"store: route {key!r} in Redis cannot be read: {error}")


def read_route(key: bytes, text: bytes) -> Route:
    """Return the route of `route_text`. Raises ValueError."""
    data, _, options = text.decode().partition("\n")
    return decode(key.decode(), data, options)


def read_entry(name: bytes, fields: Mapping[bytes, bytes]) -> LogEntry:
    """Return an entry of the log; its fields are as `change.lua` writes them. Raises StoreError."""
    put: list[Route] = []
    delete: list[str] = []
    try:
        for field, value in fields.items():
            if field.startswith(b"p"):
                put.append(read_route(field[1:], value))
            elif field.startswith(b"d"):
                delete.append(field[1:].decode())
        revision, writer = int(name.partition(b"-")[0]), fields.get(b"w", b"").decode()
        history = fields.get(b"h", b"").decode()
        moments = {key: float(at) for key, at in json.loads(fields.get(b"m", b"{}")).items()}
        versions = {key: int(at) for key, at in json.loads(fields.get(b"o", b"{}")).items()}
        version, moment = int(fields.get(b"v", b"0")), float(fields.get(b"t", b"0"))
    except (ValueError, TypeError, AttributeError) as error:
        raise StoreError(f"store: an entry of the log in Redis cannot be read: {error}") from None
    whole = b"a" in fields
    return LogEntry(
        *(revision, writer, tuple(put), tuple(delete), moments, whole, history),
        *(version, versions, moment),
    )
