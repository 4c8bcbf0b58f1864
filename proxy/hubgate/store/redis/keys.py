"""The table's keys in Redis, and routes as their values."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from hubgate.errors import StoreError
from hubgate.model import Route
from hubgate.redis_address import RedisAddress
from hubgate.store.records import decode, encode

FORMAT = 1
"""Of what is stored; a release reads its own and the one before."""

LOG_ENTRIES = 20_000
LOG_BYTES = 10_000_000
"""Of texts in the log, about 50,000 routes of a hub; only the latest change may be larger."""

ENTRY_ROUTES = 500
"""A change of more routes is not in the log: who follows loads the table."""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A change of the table: its revision, who wrote it, and the routes; `whole` if too many.

    `moments` is when routes that were put had been active, if not at that moment (epoch seconds).
    Revisions of another `history` say nothing here; "" is our own.
    """

    revision: int
    writer: str
    put: tuple[Route, ...] = ()
    delete: tuple[str, ...] = ()
    moments: Mapping[str, float] = field(default_factory=dict)
    whole: bool = False
    history: str = ""


class TableKeys:
    """The full names of the keys of one table."""

    def __init__(self, address: RedisAddress) -> None:
        name = address.key
        self.meta, self.table, self.log = name("meta"), name("table"), name("log")
        self.activity, self.active = name("activity"), name("active")
        self.leases, self.replicas = name("leases"), name("replicas")
        self.acknowledged, self.claims = name("acknowledged"), name("claims")
        self.secret = name("secret")
        self._name = name

    def types(self) -> dict[str, str]:
        """Return what Redis calls the type of each of these keys."""
        return {
            **dict.fromkeys((self.meta, self.table, self.activity, self.replicas), "hash"),
            **dict.fromkeys((self.log, self.active, self.acknowledged), "stream"),
            **{self.leases: "zset", self.claims: "hash", self.secret: "string"},
        }

    def change(self, change_id: str) -> str:
        """Return the key that remembers a change."""
        return self._name(f"change:{change_id}")

    def taken(self, history: str) -> tuple[str, str]:
        """Return the keys of a table that is about to begin a history, and of its activity."""
        return self._name(f"table:{history}"), self._name(f"activity:{history}")


def route_text(route: Route) -> str:
    """Return a route as a change's script takes it."""
    return "\n".join(encode(route))


def read_value(key: bytes, value: bytes) -> tuple[int, Route]:
    """Return a value of the table: the revision that put it, and the route. Raises StoreError."""
    revision, _, text = value.partition(b"\n")
    try:
        return int(revision), read_route(key, text)
    except ValueError as error:
        raise StoreError(f"store: route {key!r} in Redis cannot be read: {error}") from None


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
    except (ValueError, TypeError, AttributeError) as error:
        raise StoreError(f"store: an entry of the log in Redis cannot be read: {error}") from None
    return LogEntry(revision, writer, tuple(put), tuple(delete), moments, b"a" in fields, history)


def patched(table: dict[str, Route], entry: LogEntry) -> None:
    """Change `table` as the entry says."""
    for route in entry.put:
        table[route.key] = route
    for key in entry.delete:
        table.pop(key, None)
