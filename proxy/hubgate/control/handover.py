"""What one release of hubgate hands over to the next, within one process."""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hubgate.errors import UpgradeError
from hubgate.model import Route, Source
from hubgate.store.records import decode, encode

# Raise it when an older release's text, or what its workers say, could not be read any more.
# 2: the package is `hubgate`; workers of 1 know the classes of their messages under `proxy`.
VERSION = 2


@dataclass(frozen=True, slots=True)
class HandedListener:
    """The descriptors that listen on what the settings call `address`, for a `purpose`.

    `borrowed`: whoever started us has opened them, and keeps them open.
    """

    purpose: str
    address: str
    fds: tuple[int, ...]
    borrowed: bool = False


@dataclass(frozen=True, slots=True)
class HandedWorker:
    """A running worker, the descriptor of its link, and what was read from that too early."""

    index: int
    pid: int
    link_fd: int
    received: bytes
    retired: bool


@dataclass(frozen=True, slots=True)
class HandedRoutes:
    """The routes of the API and of routes.yaml, and when they were active (epoch seconds)."""

    stored: tuple[Route, ...] = ()
    file_routes: tuple[Route, ...] = ()
    activity: Mapping[str, float] = field(default_factory=dict)

    def changes_to(self, routes: Iterable[Route]) -> tuple[list[Route], list[str]]:
        """Return what to put into a table of these to make it `routes`, and what to delete."""
        before = {route.key: route for route in (*self.stored, *self.file_routes)}
        after = {route.key: route for route in routes}
        put = [route for key, route in after.items() if before.get(key) != route]
        return put, [key for key in before if key not in after]


@dataclass(frozen=True, kw_only=True)
class Handover:
    """Everything. `release` is the version that hands over, `generation` counts upgrades.

    `failed`: nobody else was there to take it.
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

    def taken_back(self) -> "Handover":
        """Return what the release that hands over has to go on with itself."""
        return replace(self, generation=self.generation - 1, failed=True)

    @property
    def fds(self) -> list[int]:
        """Every descriptor that goes along."""
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
            # Beside them and not among them, so that releases that know nothing of it can read.
            "borrowed": [at for at, each in enumerate(handover.listeners) if each.borrowed],
            "workers": [
                [each.index, each.pid, each.link_fd, _text(each.received), each.retired]
                for each in handover.workers
            ],
            "stored": _rows(handover.routes.stored),
            "fixed": _rows(handover.routes.file_routes),
            "activity": dict(handover.routes.activity),
            "counters": dict(handover.counters),
        }
    ).encode()


def loads(text: bytes) -> Handover:
    """Return what `dumps` was given. Raises UpgradeError for what cannot be read."""
    try:
        found: dict[str, Any] = json.loads(text)
        if found["version"] != VERSION:
            raise UpgradeError(f"what was handed over is of version {found['version']}")
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
            ),
            counters=found["counters"],
        )
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise UpgradeError(f"what was handed over cannot be read: {error!r}") from None


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _rows(routes: Iterable[Route]) -> list[list[str]]:
    return [[route.key, *encode(route)] for route in routes]


def _routes(rows: Iterable[list[str]]) -> tuple[Route, ...]:
    return tuple(decode(*row) for row in rows)
