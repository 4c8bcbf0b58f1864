"""What one release of hubgate hands over to the next, within one process."""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hubgate.errors import UpgradeError
from hubgate.model import Route, Source
from hubgate.store.records import decode, encode

# Raise it when an older release's text, or its workers' messages, can no longer be read.
# 2: the package is `hubgate`; workers of version 1 have their message classes under `proxy`.
VERSION = 2


@dataclass(frozen=True, slots=True)
class HandedListener:
    """The descriptors listening on the `address` from the settings, for a `purpose`.

    `borrowed`: the parent process opened them, and keeps them open.
    """

    purpose: str
    address: str
    fds: tuple[int, ...]
    borrowed: bool = False


@dataclass(frozen=True, slots=True)
class HandedWorker:
    """A running worker, the descriptor of its link, and bytes already read from it."""

    index: int
    pid: int
    link_fd: int
    received: bytes
    retired: bool


@dataclass(frozen=True, slots=True)
class HandedRoutes:
    """The API's routes, those of routes.yaml, and their last activity (epoch seconds).

    `held` is what a shared store says of the API's in its own words; "" if it says nothing.
    """

    stored: tuple[Route, ...] = ()
    file_routes: tuple[Route, ...] = ()
    activity: Mapping[str, float] = field(default_factory=dict)
    held: str = ""

    def changes_to(self, routes: Iterable[Route]) -> tuple[list[Route], list[str]]:
        """Return what to put into a table of these routes, and delete, to make it `routes`."""
        before = {route.key: route for route in (*self.stored, *self.file_routes)}
        after = {route.key: route for route in routes}
        put = [route for key, route in after.items() if before.get(key) != route]
        return put, [key for key in before if key not in after]


@dataclass(frozen=True, kw_only=True)
class Handover:
    """All that is handed over. `release` is the old version, `generation` counts upgrades.

    `failed`: no other release could take it. `lost_lines` of the log nobody has been told of.
    """

    release: str
    generation: int
    link_version: int
    revision: int
    listeners: tuple[HandedListener, ...]
    workers: tuple[HandedWorker, ...]
    routes: HandedRoutes
    counters: Mapping[str, float]
    failed: bool = False
    lost_lines: int = 0

    def taken_back(self) -> "Handover":
        """Return what the old release needs to carry on itself."""
        return replace(self, generation=self.generation - 1, failed=True)

    @property
    def fds(self) -> list[int]:
        """Every descriptor that is handed over."""
        listening = [fd for listener in self.listeners for fd in listener.fds]
        return listening + [worker.link_fd for worker in self.workers]


def dumps(handover: Handover) -> bytes:
    """Return `handover` as text that another release can read."""
    return json.dumps(
        {
            "version": VERSION,
            "release": handover.release,
            "generation": handover.generation,
            "link_version": handover.link_version,
            "revision": handover.revision,
            "listeners": [[each.purpose, each.address, each.fds] for each in handover.listeners],
            # A separate list, so that releases without this field can read the listeners.
            "borrowed": [at for at, each in enumerate(handover.listeners) if each.borrowed],
            "workers": [
                [each.index, each.pid, each.link_fd, _text(each.received), each.retired]
                for each in handover.workers
            ],
            "stored": _rows(handover.routes.stored),
            "fixed": _rows(handover.routes.file_routes),
            "activity": dict(handover.routes.activity),
            "counters": dict(handover.counters),
            # Rare, and a release that does not know it does not look for it.
            **({"lost_lines": handover.lost_lines} if handover.lost_lines else {}),
            **({"held": handover.routes.held} if handover.routes.held else {}),
        }
    ).encode()


def loads(text: bytes) -> Handover:
    """Return what `dumps` was given. Raises UpgradeError for unreadable text."""
    try:
        found: dict[str, Any] = json.loads(text)
        if found["version"] != VERSION:
            raise UpgradeError(f"what was handed over has version {found['version']}")
        return Handover(
            release=found["release"],
            generation=found["generation"],
            link_version=found["link_version"],
            revision=found["revision"],
            listeners=tuple(
                HandedListener(what, at, tuple(fds), number in found.get("borrowed", ()))
                for number, (what, at, fds) in enumerate(found["listeners"])
            ),
            workers=tuple(
                HandedWorker(index, pid, fd, base64.b64decode(received), retired)
                for index, pid, fd, received, retired in found["workers"]
            ),
            routes=HandedRoutes(
                _routes(found["stored"]),
                tuple(replace(route, source=Source.FILE) for route in _routes(found["fixed"])),
                found["activity"],
                found.get("held", ""),
            ),
            counters=found["counters"],
            lost_lines=found.get("lost_lines", 0),
        )
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise UpgradeError(f"what was handed over cannot be read: {error!r}") from None


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _rows(routes: Iterable[Route]) -> list[list[str]]:
    return [[route.key, *encode(route)] for route in routes]


def _routes(rows: Iterable[list[str]]) -> tuple[Route, ...]:
    return tuple(decode(*row) for row in rows)
