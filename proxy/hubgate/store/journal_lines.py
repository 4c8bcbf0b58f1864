"""The content of a journal: changes to the routes, one per line, each with a checksum."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from hubgate.errors import StoreError
from hubgate.model import Route
from hubgate.store.records import decode, encode

HEADER = b"hubgate routes 1\n"


@dataclass
class Kept:
    """A replayed journal; `activity` is in seconds since the epoch, by route key."""

    routes: dict[str, Route] = field(default_factory=dict)
    activity: dict[str, float] = field(default_factory=dict)


def put_line(route: Route) -> bytes:
    """Return the line that adds or replaces `route`."""
    return _line({"put": [route.key, *encode(route)]})


def delete_line(key: str) -> bytes:
    """Return the line that removes a route."""
    return _line({"delete": key})


def activity_line(activity: Mapping[str, float]) -> bytes:
    """Return the line that records when routes were last active."""
    return _line({"active": dict(activity)})


def read_journal(content: bytes) -> Kept:
    """Replay a journal; a truncated last line is ignored.

    Raises StoreError for any other damage.
    """
    if not content.startswith(HEADER):
        raise StoreError("it does not start like a file of this version")
    complete, _, _ = content.rpartition(b"\n")
    kept = Kept()
    for number, line in enumerate(complete.split(b"\n")[1:], 2):
        try:
            _apply(_change(line), kept)
        except (ValueError, TypeError, RecursionError):
            raise StoreError(f"line {number} is damaged") from None
    kept.activity = {key: moment for key, moment in kept.activity.items() if key in kept.routes}
    return kept


def _line(change: Mapping[str, Any]) -> bytes:
    text = json.dumps(change, separators=(",", ":")).encode()
    return b"%08x %b\n" % (crc32(text), text)


def _change(line: bytes) -> object:
    checksum, _, text = line.partition(b" ")
    if int(checksum, 16) != crc32(text):
        raise ValueError("wrong checksum")
    return json.loads(text)


def _apply(change: object, kept: Kept) -> None:
    match change:
        case {"put": [str(key), str(data), str(options)]}:
            kept.routes[key] = decode(key, data, options)
        case {"delete": str(key)}:
            kept.routes.pop(key, None)
            kept.activity.pop(key, None)
        case {"active": dict(activity)}:
            kept.activity.update({key: float(moment) for key, moment in activity.items()})
        case _:
            raise ValueError("an unknown change")
