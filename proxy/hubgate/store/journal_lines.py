"""The content of a journal: changes to the routes, one per line, each with a checksum.

A killed process may have written only a part of its last lines. Those that belong together have
a line before them that says how many they are.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from zlib import crc32

from hubgate.errors import StoreError
from hubgate.model import Route
from hubgate.store.records import decode, encode

_encode = json.JSONEncoder(separators=(",", ":")).encode

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


def together(lines: Sequence[bytes]) -> bytes:
    """Return lines that are read either all or none."""
    if len(lines) > 1:
        lines = [_line({"together": len(lines)}), *lines]
    return b"".join(lines)


def read_journal(content: bytes) -> Kept:
    """Replay a journal; a truncated last line, and what belongs together with it, is ignored.

    Raises StoreError for any other damage.
    """
    if not content.startswith(HEADER):
        raise StoreError("it does not start like a file of this version")
    complete, _, _ = content.rpartition(b"\n")
    kept = Kept()
    for change in _whole(_changes(complete.split(b"\n")[1:])):
        _apply(change, kept)
    kept.activity = {key: moment for key, moment in kept.activity.items() if key in kept.routes}
    return kept


def _line(change: Mapping[str, Any]) -> bytes:
    text = _encode(change).encode()
    return b"%08x %b\n" % (crc32(text), text)


def _change(line: bytes) -> object:
    checksum, _, text = line.partition(b" ")
    if int(checksum, 16) != crc32(text):
        raise ValueError("wrong checksum")
    return json.loads(text)


def _changes(lines: Sequence[bytes]) -> Iterator[Any]:
    """Yield what each line says, a route that is put as a route; raises StoreError."""
    for number, line in enumerate(lines, 2):
        try:
            yield _checked(_change(line))
        except (ValueError, TypeError, RecursionError):
            raise StoreError(f"line {number} is damaged") from None


def _whole(changes: Iterator[Any]) -> Iterator[Any]:
    """Yield changes; those of a group only if it is complete."""
    for change in changes:
        if not (isinstance(change, dict) and "together" in change):
            yield change
            continue
        group = list(islice(changes, change["together"]))
        if len(group) == change["together"]:
            yield from group


def _checked(change: object) -> object:
    match change:
        case {"put": [str(key), str(data), str(options)]}:
            return decode(key, data, options)
        case {"active": dict(activity)}:
            return {"active": {key: float(moment) for key, moment in activity.items()}}
        case {"delete": str()} | {"together": int()}:
            return change
        case _:
            raise ValueError("an unknown change")


def _apply(change: Any, kept: Kept) -> None:
    match change:
        case Route():
            kept.routes[change.key] = change
        case {"delete": key}:
            kept.routes.pop(key, None)
            kept.activity.pop(key, None)
        case {"active": activity}:
            kept.activity.update(activity)
