"""What a hostile request is: the bytes to send, and the outcomes that are acceptable."""

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True)
class Pause:
    """Wait a moment, in seconds, so that what follows comes in a read of its own."""

    seconds: float = 0.02


@dataclass(frozen=True)
class UntilSeen:
    """Wait until a target has received `data`."""

    data: bytes


@dataclass(frozen=True)
class HalfClose:
    """Say that nothing more will be sent."""


Step = bytes | Pause | UntilSeen | HalfClose


class Door(Enum):
    """Which port of which proxy the bytes go to."""

    PUBLIC = "public"
    DROP_IN = "drop-in"
    NATIVE = "native"
    INSIDE_TLS = "inside TLS"
    TLS_PORT = "TLS port, raw"
    REDIRECT = "redirect port"


class End(Enum):
    """What became of the client's connection."""

    KEPT = "kept open"
    CLOSED = "closed"
    HUNG = "left hanging"


@dataclass(frozen=True)
class Seen:
    """A request as its target has to see it.

    `fields` are values by lower-case name, None for a name that must not be there. `at` names
    the target: `hub` (route /), `alice` (/user/alice), `bob` (/user/bob), `docs` (/docs, whose
    prefix is stripped; native only), `inner` (the host inner.example.org; native only).
    """

    line: bytes
    body: bytes = b""
    at: str = "hub"
    fields: tuple[tuple[bytes, bytes | None], ...] = ()


@dataclass(frozen=True)
class Outcome:
    """One acceptable outcome.

    `seen` are all whole requests that targets got, in order; `answers` the statuses, a set for
    each response, that the client got. `begun` allows a target to have got the beginning of a
    request that then never ends. `tunnel` is what came to the target after its 101.
    """

    seen: tuple[Seen, ...] = ()
    answers: tuple[frozenset[int], ...] = ()
    end: End = End.CLOSED
    begun: bool = False
    tunnel: bytes | None = None


@dataclass(frozen=True)
class Entry:
    """A hostile request. `bodiless` says that its answer has no body, as to HEAD."""

    name: str
    steps: tuple[Step, ...]
    outcomes: tuple[Outcome, ...]
    door: Door = Door.PUBLIC
    bodiless: bool = False


def refused(*statuses: int, begun: bool = False, after: tuple[Seen, ...] = ()) -> Outcome:
    """Answered with one of `statuses` and closed, nothing forwarded but the requests `after`."""
    good = (frozenset((200,)),) * len(after)
    return Outcome(after, (*good, frozenset(statuses)), End.CLOSED, begun)


def dropped(*, begun: bool = False, after: tuple[Seen, ...] = ()) -> Outcome:
    """Closed without an answer, nothing whole forwarded but the requests `after`."""
    return Outcome(after, (frozenset((200,)),) * len(after), End.CLOSED, begun)


def passed(*seen: Seen, end: End = End.KEPT) -> Outcome:
    """Forwarded as exactly these requests, each with its own answer from its target."""
    return Outcome(seen, (frozenset((200,)),) * len(seen), end)


def switched(seen: Seen, tunnel: bytes) -> Outcome:
    """Became a tunnel, through which the target got exactly the bytes `tunnel`."""
    return Outcome((seen,), (frozenset((101,)),), End.CLOSED, tunnel=tunnel)


def answered(*statuses: int, end: End = End.KEPT) -> Outcome:
    """Answered by the proxy itself with one of `statuses`; no target saw anything."""
    return Outcome((), (frozenset(statuses),), end)
