"""What supervisor and worker say to each other over the link."""

from dataclasses import dataclass
from enum import Enum

from hubgate.model import Report, Route, WorkerConfig

# After an upgrade the workers of the older release live on under the newer supervisor. Retire,
# Drain, Collect and what they are answered with must stay what they are; raise this number when
# an older worker could not follow a Change any more, and it will be sent none.
LINK_VERSION = 1


class SocketKind(Enum):
    """What an inherited socket is for."""

    PUBLIC = "public"
    REDIRECT = "redirect"


@dataclass(frozen=True, slots=True)
class InheritedSocket:
    """A listening socket the worker was born with: its file descriptor and its purpose."""

    fd: int
    kind: SocketKind


# --- down: from the supervisor ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Table:
    """A part of the route table, ahead of `Start`; what was posted with a route is left out.

    Most routes are no more than a key and its target, which is cheap to send; `others` have
    options too. Keys and targets are apart, so that a worker's memory has no holes once it has
    taken the keys to pieces.
    """

    keys: tuple[str, ...]
    targets: tuple[str, ...]
    others: tuple[Route, ...] = ()


@dataclass(frozen=True, slots=True)
class Start:
    """Begin to serve, with the table as it was at `revision`: `routes` and every `Table` before.

    The link sends `routes` as tables, in parts.
    """

    config: WorkerConfig
    sockets: tuple[InheritedSocket, ...]
    revision: int
    routes: tuple[Route, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """Put and delete these routes, then acknowledge `revision`."""

    revision: int
    put: tuple[Route, ...]
    delete: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Collect:
    """Report what has been seen since the last report."""

    id: int


@dataclass(frozen=True, slots=True)
class Configure:
    """Serve by this from now on, and read the certificates it names again."""

    id: int
    config: WorkerConfig


@dataclass(frozen=True, slots=True)
class Retire:
    """Accept nothing more, as others do; what is open may last `limit` seconds, then drain.

    `drain` is the time, in seconds, that requests have after that.
    """

    limit: float
    drain: float


@dataclass(frozen=True, slots=True)
class Drain:
    """Accept nothing more, let what is open finish within `timeout` seconds, then end."""

    timeout: float


# --- up: from the worker ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hello:
    """The worker has imported its code and can be given the table."""

    pid: int


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker accepts connections."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The worker cannot start, for a reason fit for a person to read; it ends now."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ack:
    """Everything up to `revision` is in the worker's table."""

    revision: int


@dataclass(frozen=True, slots=True)
class Collected:
    """What the worker has seen; `id` is that of the `Collect`, 0 for the last words."""

    id: int
    report: Report


@dataclass(frozen=True, slots=True)
class Configured:
    """The `Configure` with that id is done, or has failed with a `mistake` and changed nothing."""

    id: int
    mistake: str | None


@dataclass(frozen=True, slots=True)
class Drained:
    """Every connection is closed; the worker ends now."""


def forwarding(route: Route) -> Route:
    """Return what a worker has to know of `route`: not what was posted with it, nor by whom."""
    return Route(route.key, route.target, options=route.options)


Down = Table | Start | Change | Collect | Configure | Retire | Drain
Up = Hello | Ready | Failed | Ack | Collected | Configured | Drained
Message = Down | Up
