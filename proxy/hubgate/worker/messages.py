"""The messages between supervisor and worker on the link."""

from dataclasses import dataclass
from enum import Enum

from hubgate.model import Report, Route, WorkerConfig

# After an upgrade the older release's workers keep running under the newer supervisor. Retire,
# Drain, Collect and their replies must never change; raise this number when an older worker can
# no longer read a Change, and it will be sent none.
LINK_VERSION = 1


class SocketKind(Enum):
    """The purpose of an inherited socket."""

    PUBLIC = "public"
    REDIRECT = "redirect"


@dataclass(frozen=True, slots=True)
class InheritedSocket:
    """A listening socket the worker inherits: its file descriptor and its purpose."""

    fd: int
    kind: SocketKind


# --- down: from the supervisor ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Table:
    """A part of the route table, sent ahead of `Start`, without the data posted with a route.

    Most routes are just a key and a target, which are cheap to send; `others` have options too.
    Keys and targets are separate, so that a worker's memory has no holes once it has split up
    the keys.
    """

    keys: tuple[str, ...]
    targets: tuple[str, ...]
    others: tuple[Route, ...] = ()


@dataclass(frozen=True, slots=True)
class Start:
    """Start serving, with the table as of `revision`: `routes` and every `Table` before.

    The link sends `routes` in parts, as `Table`s.
    """

    config: WorkerConfig
    sockets: tuple[InheritedSocket, ...]
    revision: int
    routes: tuple[Route, ...] = ()


PART = 0
"""The revision of a part of a change that another part follows: nobody waits for it."""


@dataclass(frozen=True, slots=True)
class Change:
    """Delete and put these routes, then acknowledge `revision`.

    The link sends a large one in parts, without the data posted with a route.
    """

    revision: int
    put: tuple[Route, ...]
    delete: tuple[str, ...]

    def __reduce__(self) -> tuple[type["Change"], tuple[object, ...]]:
        # What a dataclass with slots does by itself takes three times as long.
        return Change, (self.revision, self.put, self.delete)


@dataclass(frozen=True, slots=True)
class Collect:
    """Report what has been seen since the last report."""

    id: int


@dataclass(frozen=True, slots=True)
class Configure:
    """Use this configuration from now on, and read its certificates again."""

    id: int
    config: WorkerConfig


@dataclass(frozen=True, slots=True)
class Retire:
    """Stop accepting, as others do that; open connections may last `limit` seconds, then drain.

    `drain` is the time, in seconds, that requests have after that.
    """

    limit: float
    drain: float


@dataclass(frozen=True, slots=True)
class Drain:
    """Stop accepting, let open requests finish within `timeout` seconds, then exit."""

    timeout: float


# --- up: from the worker ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hello:
    """The worker has imported its code and can be sent the table."""

    pid: int


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker accepts connections."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The worker cannot start, for a human-readable `reason`; it exits now."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ack:
    """Everything up to `revision` is in the worker's table."""

    revision: int

    def __reduce__(self) -> tuple[type["Ack"], tuple[object, ...]]:
        return Ack, (self.revision,)


@dataclass(frozen=True, slots=True)
class Collected:
    """The worker's report; `id` is that of the `Collect`, 0 for the final one."""

    id: int
    report: Report


@dataclass(frozen=True, slots=True)
class Configured:
    """The `Configure` with that id is done, or failed with a `mistake` and changed nothing."""

    id: int
    mistake: str | None


@dataclass(frozen=True, slots=True)
class Drained:
    """Every connection is closed; the worker exits now."""


def forwarding(route: Route) -> Route:
    """Return what a worker needs of `route`: without its posted data and its source."""
    return Route(route.key, route.target, options=route.options)


Down = Table | Start | Change | Collect | Configure | Retire | Drain
Up = Hello | Ready | Failed | Ack | Collected | Configured | Drained
Message = Down | Up
