"""How many connections a port may have open, and which it closes for a new one when it is full.

Every port has an Admission: connections count from accept on, so a TLS handshake counts too.
"""

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import islice
from typing import Protocol

from hubgate.errors import BusyError
from hubgate.model import Limits

log = logging.getLogger("hubgate")

# Connections beyond the limit that are answered before they are closed; more are just closed, as
# each answer takes a descriptor for as long as its client does not read it.
_ANSWERED = 16
# How many connections that may be closed are looked up at a time: a full port must not search all
# of them for each new one. It searches again after so many seconds, if there are none as well.
_LOOKED_UP, _PAUSE = 64, 0.1
# Seconds after which an unfinished TLS handshake is the first to make room. A client that is
# connecting needs less.
_SLOW_HANDSHAKE = 2.0
# Seconds between two log lines of one kind about a port.
_LOG_INTERVAL = 10.0


@dataclass(frozen=True, slots=True)
class PortLimits:
    """How many connections a port takes in all and from one address; None means no limit.

    `reason` and `address_reason` say what sets them, for the log.
    """

    connections: int | None = None
    address_connections: int | None = None
    reason: str = "limits.connections"
    address_reason: str = "limits.address_connections"


def port_limits(limits: Limits, files: int) -> PortLimits:
    """Return the limits of a port that browsers connect to.

    `files` is how many connections the limit on open files allows it.
    """
    return _lowered(PortLimits(limits.connections, limits.address_connections), files)


def control_limits(limits: Limits, files: int) -> PortLimits:
    """Return the limits of a port of the supervisor's: the API's, or the metrics'."""
    reasons = "limits.control_connections", "limits.control_address_connections"
    most, of_one = limits.control_connections, limits.control_address_connections
    return _lowered(PortLimits(most, of_one, *reasons), files)


def _lowered(limits: PortLimits, files: int) -> PortLimits:
    if limits.connections is not None and limits.connections <= files:
        return limits
    return replace(limits, connections=files, reason="what the limit on open files allows")


class Guest(Protocol):
    """An open connection."""

    @property
    def spare(self) -> bool:
        """Whether it may be closed to make room: no request would be lost."""

    def abort(self) -> None:
        """Close it at once."""


class Guests(Protocol):
    """The open connections of one port."""

    def spares(self, newcomer: object) -> Iterable[Guest]:
        """Return those that may be closed for `newcomer`, first those to be closed first.

        They are all of one kind, that of the least use: when they are closed, this is asked
        again. `newcomer` is not among them.
        """


class NoGuests:
    """A port none of whose connections may be closed."""

    def spares(self, newcomer: object) -> Iterable[Guest]:
        """Return nothing."""
        return ()


class Admission:
    """Counts a port's open connections, tunnels included; `limits` may change meanwhile.

    When the port is full, a connection that has not been of use yet makes room for a new one: a
    TLS handshake that takes long, then what `guests` offers, then any other handshake. Strangers
    that connect and say nothing therefore lock nobody out. Clients on a unix socket have no
    address and are not counted by address.

    `refused` is called with the port's name for each connection that is turned away or closed at a
    limit, `cleartext` for each that speaks HTTP where TLS is spoken; `clock` is any steady clock,
    in seconds.
    """

    guests: Guests = NoGuests()

    def __init__(
        self,
        port: str,
        limits: PortLimits,
        clock: Callable[[], float],
        refused: Callable[[str], None] = lambda _: None,
        cleartext: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.limits = limits
        self._port = port
        self._clock = clock
        self._refused = refused
        self._cleartext = cleartext
        self._open = 0
        self._by_address: Counter[str] = Counter()
        # TLS handshakes in progress by the protocol they are for, with when each began: the oldest
        # is first.
        self._handshakes: dict[object, tuple[Handshake, float]] = {}
        self._spares: deque[Guest] = deque()
        self._found = False
        self._search_at = 0.0
        self._full, self._not_tls = _RareLine(), _RareLine()

    def __repr__(self) -> str:
        return f"<Admission {self._port} {self._open} open of {self.limits.connections}>"

    @property
    def open(self) -> int:
        """How many are open now."""
        return self._open

    @property
    def handshakes(self) -> int:
        """How many of them are in a TLS handshake."""
        return len(self._handshakes)

    def enter(self, address: str, guest: Guest | None = None) -> BusyError | None:
        """Count a connection in; return the error it gets if it is one too many.

        It must `leave` in either case. One whose handshake was counted is counted already.
        """
        if self._handshakes and self._handshakes.pop(guest, None) is not None:
            return None
        self._open += 1
        self._by_address[address] += 1
        limits = self.limits
        most, most_of_one = limits.connections, limits.address_connections
        if address and most_of_one is not None and self._by_address[address] > most_of_one:
            text = f"{address} has over {most_of_one} connections open ({limits.address_reason})"
            self._count(f"the {self._port} port: {text}: refusing more of its connections")
            return self._refuse(text, guest)
        if most is not None and self._open > most and not self._make_room(guest):
            text = f"over {most} connections are open ({limits.reason})"
            self._count(f"the {self._port} port is full: {text}: refusing new ones")
            return self._refuse(text, guest)
        return None

    def leave(self, address: str) -> None:
        """Count a connection out."""
        self._open -= 1
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]

    def begin(self, handshake: "Handshake") -> BusyError | None:
        """Count a connection in whose TLS handshake begins; return an error as `enter` does."""
        error = self.enter(handshake.address)
        if error is not None:
            self.leave(handshake.address)
        else:
            self._handshakes[handshake.guest] = handshake, self._clock()
        return error

    def give_up(self, guest: object) -> None:
        """Count a connection out whose handshake did not succeed, unless it is already."""
        if (found := self._handshakes.pop(guest, None)) is not None:
            self.leave(found[0].address)

    def met_cleartext(self, address: str) -> None:
        """Count a connection that speaks HTTP where TLS is spoken; the log has a line of it."""
        self._cleartext(self._port)
        line = f"the {self._port} port: 400 plain HTTP on an HTTPS port, from "
        self._not_tls.say(line + (address or "a unix socket"), self._clock())

    # --- a full port -------------------------------------------------------------------------

    def _make_room(self, newcomer: Guest | None) -> bool:
        """Close a connection that can be spared; return whether there was one."""
        now = self._clock()
        room = (
            self._end_handshake(now - _SLOW_HANDSHAKE)
            or self._end_spare(newcomer, now)
            or self._end_handshake(now)
        )
        if room:
            most, reason = self.limits.connections, self.limits.reason
            text = f"over {most} connections are open ({reason}): closing unused ones"
            self._count(f"the {self._port} port is full: {text}")
        return room

    def _end_handshake(self, before: float) -> bool:
        """Close the connection with the oldest handshake, if that began by then."""
        handshake, since = next(iter(self._handshakes.values()), (None, 0.0))
        if handshake is None or since > before:
            return False
        self.give_up(handshake.guest)
        handshake.abort()
        return True

    def _end_spare(self, newcomer: Guest | None, now: float) -> bool:
        """Close a connection that `guests` can spare."""
        # What was found is used up first, unless it is out of date.
        if now >= self._search_at or (self._found and not self._spares):
            self._spares = deque(islice(self.guests.spares(newcomer), _LOOKED_UP))
            self._found, self._search_at = bool(self._spares), now + _PAUSE
        while self._spares:
            guest = self._spares.popleft()
            if guest.spare:
                guest.abort()
                return True
        return False

    def _refuse(self, text: str, guest: Guest | None) -> BusyError:
        most = self.limits.connections
        if guest is not None and most is not None and self._open > most + _ANSWERED:
            guest.abort()
        return BusyError(text)

    def _count(self, text: str) -> None:
        """Count a connection turned away or closed; a line for the first, then now and then."""
        self._refused(self._port)
        self._full.say(text, self._clock())


class _RareLine:
    """A kind of log line that anybody can cause: it is written now and then, with their number."""

    def __init__(self) -> None:
        self._say_at = 0.0
        self._unsaid = 0

    def say(self, text: str, now: float) -> None:
        """Log it, unless there was one a moment ago."""
        if now < self._say_at:
            self._unsaid += 1
            return
        more = f" (and {self._unsaid} more since the last such line)" if self._unsaid else ""
        self._say_at, self._unsaid = now + _LOG_INTERVAL, 0
        log.warning("%s%s", text, more)


class Handshake(Protocol):
    """A connection whose TLS handshake is in progress."""

    @property
    def address(self) -> str:
        """The peer's address, "" on a unix socket."""

    @property
    def guest(self) -> object:
        """The protocol it is made for."""

    def abort(self) -> None:
        """Close it at once."""
