"""How a file of routes differs from the table of a running hubgate."""

from collections.abc import Mapping
from typing import Any

from hubgate.model import HUBS_MARK, LAST_ACTIVITY

Data = Mapping[str, Any]


def patch_to(
    now: Mapping[str, Data], wanted: Mapping[str, Data], hubs_too: bool
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return the JSON merge patch (RFC 7396) that adds and changes routes so that all are `wanted`.

    Routes of a hub, in either of them, are left alone unless `hubs_too`; the keys of those that
    differ are returned as well.
    """
    patch: dict[str, dict[str, Any]] = {}
    left: list[str] = []
    for key, data in wanted.items():
        there = now.get(key)
        if there is not None and _lasting(there) == _lasting(data):
            continue
        if not hubs_too and (HUBS_MARK in data or HUBS_MARK in (there or {})):
            left.append(key)
        else:
            patch[key] = _patch(_lasting(there or {}), data)
    return patch, left


def _patch(now: Data, wanted: Data) -> dict[str, Any]:
    patch = dict(wanted)
    for name, value in now.items():
        if name not in wanted:
            patch[name] = None
        elif isinstance(value, dict) and isinstance(wanted[name], dict):
            patch[name] = _patch(value, wanted[name])
    return patch


def _lasting(data: Data) -> dict[str, Any]:
    """Return a route's data without what changes all the time."""
    return {name: value for name, value in data.items() if name != LAST_ACTIVITY}
