"""Looking up names as the system does, in threads of our own: no name waits for another.

`getaddrinfo` gives the answer that every other program on the machine gets: /etc/hosts, search
domains, nsswitch.conf. It also blocks for as long as resolv.conf says, 10 s or more when a name
server is silent, and an event loop gives it four threads.
"""

import _thread
import asyncio
import socket
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, zip_longest
from typing import NamedTuple

from hubgate.bounded import keep
from hubgate.errors import NameLookupError

# Seconds an answer is used for (the system does not tell how long it may be), and a failure.
_ANSWER_KEPT = 5.0
_FAILURE_KEPT = 1.0
_MOST_NAMES = 4096
_MOST_ADDRESSES = 16
# Threads at once, of about 30 KiB and one descriptor each while they wait for a name server.
_MOST_LOOKUPS = 128
# How many of these may be held by names whose last lookup failed after more than `_SLOW` seconds.
_MOST_DOUBTFUL = 32
_SLOW = 1.0
_NOTABLE = 0.1  # seconds of waiting that a failure tells


class HostAddress(NamedTuple):
    """An address of a host; `rest` is what IPv6 adds behind the port, its flow and scope."""

    family: socket.AddressFamily
    ip: str
    rest: tuple[int, ...] = ()

    def at(self, port: int) -> tuple[str | int, ...]:
        """Return what a socket connects to."""
        return (self.ip, port, *self.rest)


Addresses = tuple[HostAddress, ...]
LookUp = Callable[[str], Addresses]

# RFC 6761, section 6.3. IPv4 first, as notebook servers listen there.
LOOPBACK: Addresses = (
    HostAddress(socket.AF_INET, "127.0.0.1"),
    HostAddress(socket.AF_INET6, "::1", (0, 0)),
)


@lru_cache(_MOST_NAMES)
def is_literal(host: str) -> bool:
    """Return whether `host` is an IP address, which takes no lookup."""
    if ":" in host:
        return True
    with suppress(OSError, UnicodeError):
        socket.inet_pton(socket.AF_INET, host)
        return True
    return False


def system_addresses(host: str) -> Addresses:
    """Return the addresses of `host`, blocking for as long as the system takes.

    They are in the system's order (RFC 6724), with families alternating (RFC 8305, section 4), and
    not more than a connection has time to try.
    Raises OSError or UnicodeError.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    families: dict[int, dict[HostAddress, None]] = {}
    for family, _, _, _, (ip, _, *rest) in found:
        address = HostAddress(family, str(ip), tuple(map(int, rest)))
        families.setdefault(family, {})[address] = None
    alternating = chain.from_iterable(zip_longest(*families.values()))
    return tuple(filter(None, alternating))[:_MOST_ADDRESSES]


@dataclass(slots=True)
class _Known:
    """What the last lookup of a name found, and until when it holds (loop time).

    `preferred` is the address that could be connected to when the first one could not.
    """

    addresses: Addresses
    failure: str
    until: float
    doubtful: bool = False
    preferred: HostAddress | None = None


@dataclass(slots=True, eq=False)
class _Lookup:
    """A lookup in progress or in the queue; `done` gets what it found."""

    host: str
    begun: float
    doubtful: bool
    done: "asyncio.Future[_Known]"
    waiters: int = 0
    started: float | None = None


class Resolver:
    """Looks up the names of targets, each name at most once at a time.

    A lookup that its callers have given up on goes on in its thread, which nothing waits for, the
    end of the process included.
    """

    def __init__(self, system: LookUp = system_addresses) -> None:
        self._system = system
        self._loop = asyncio.get_running_loop()
        self._known: dict[str, _Known] = {}
        self._lookups: dict[str, _Lookup] = {}
        # Doubtful ones wait apart, so that they are never in the way of others.
        self._queues: dict[bool, OrderedDict[str, _Lookup]] = {
            False: OrderedDict(),
            True: OrderedDict(),
        }
        self._running = {False: 0, True: 0}

    def __repr__(self) -> str:
        return f"<Resolver {len(self._known)} known, {len(self._lookups)} being looked up>"

    def recall(self, host: str) -> Addresses | None:
        """Return the addresses of `host` that need no lookup, None if it must be looked up.

        Raises NameLookupError if a lookup failed a moment ago.
        """
        if _is_loopback(host):
            return LOOPBACK
        known = self._known.get(host)
        if known is None or known.until < self._loop.time():
            return None
        return _addresses(known)

    async def look_up(self, host: str, limit: float) -> Addresses:
        """Look `host` up, or join the lookup in progress; raises NameLookupError.

        A lookup that has taken `limit` seconds has failed for everybody, until it ends.
        """
        if _is_loopback(host):
            return LOOPBACK
        lookup = self._lookups.get(host) or self._begin(host)
        left = lookup.begun + limit - self._loop.time()
        lookup.waiters += 1
        try:
            await asyncio.wait((lookup.done,), timeout=max(left, 0))
        finally:
            lookup.waiters -= 1
            if not lookup.waiters and lookup.started is None and not lookup.done.done():
                # Nobody wants it any more, and it has not begun.
                del self._lookups[host], self._queues[lookup.doubtful][host]
        if not lookup.done.done():
            raise NameLookupError(f"the name {host!r} could not be looked up within {limit:g} s")
        return _addresses(lookup.done.result())

    def forget(self, host: str) -> None:
        """Look `host` up anew next time: its addresses could not be connected to."""
        self._known.pop(host, None)

    def prefer(self, host: str, address: HostAddress) -> None:
        """Put an address first from now on, as those before it could not be connected to."""
        known = self._known.get(host)
        if known is not None and address in known.addresses:
            known.preferred = address
            known.addresses = _with_first(address, known.addresses)

    def close(self) -> None:
        """Fail every lookup that somebody waits for; those in the queue never start."""
        for queue in self._queues.values():
            queue.clear()
        closed = _Known((), "hubgate is shutting down", 0)
        for lookup in self._lookups.values():
            if not lookup.done.done():
                lookup.done.set_result(closed)

    def _begin(self, host: str) -> _Lookup:
        if len(self._lookups) >= _MOST_NAMES:
            raise NameLookupError(
                f"the name {host!r} could not be looked up: {_MOST_NAMES} others are waiting"
            )
        known = self._known.get(host)
        doubtful = known is not None and known.doubtful
        lookup = _Lookup(host, self._loop.time(), doubtful, self._loop.create_future())
        self._lookups[host] = lookup
        self._queues[doubtful][host] = lookup
        self._start_queued()
        return lookup

    def _start_queued(self) -> None:
        """Start what the bounds allow, doubtful names last."""
        for doubtful, queue in self._queues.items():
            while (
                queue
                and sum(self._running.values()) < _MOST_LOOKUPS
                and (not doubtful or self._running[True] < _MOST_DOUBTFUL)
            ):
                self._start(queue.popitem(last=False)[1])

    def _start(self, lookup: _Lookup) -> None:
        lookup.started = self._loop.time()
        self._running[lookup.doubtful] += 1
        try:
            # Not `threading`: starting one would wait for it, and the interpreter's end as well.
            _thread.start_new_thread(self._run, (lookup,))
        except RuntimeError as error:
            self._loop.call_soon(self._finish, lookup, str(error))

    def _run(self, lookup: _Lookup) -> None:
        """Look up in a thread, for as long as it takes."""
        found: Addresses | str
        try:
            found = self._system(lookup.host) or "it has no address"
        except Exception as error:  # whatever it is, its place must become free
            found = getattr(error, "strerror", None) or str(error) or type(error).__name__
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._finish, lookup, found)

    def _finish(self, lookup: _Lookup, found: Addresses | str) -> None:
        self._running[lookup.doubtful] -= 1
        host, now = lookup.host, self._loop.time()
        del self._lookups[host]
        if isinstance(found, str):
            waited, took = now - lookup.begun, now - (lookup.started or now)
            failure = f"the name {host!r} could not be looked up: {found}"
            if waited >= _NOTABLE:
                failure += f" (after {waited:.1f} s)"
            known = _Known((), failure, now + _FAILURE_KEPT, doubtful=took > _SLOW)
        else:
            known = _Known(found, "", now + _ANSWER_KEPT)
            before = self._known.get(host)
            if before is not None and before.preferred in found:
                known.preferred = before.preferred
                known.addresses = _with_first(before.preferred, found)
        keep(self._known, host, known, _MOST_NAMES)
        if not lookup.done.done():
            lookup.done.set_result(known)
        self._start_queued()


def _is_loopback(host: str) -> bool:
    return host.rstrip(".") == "localhost"


def _addresses(known: _Known) -> Addresses:
    if not known.addresses:
        raise NameLookupError(known.failure)
    return known.addresses


def _with_first(first: HostAddress, addresses: Addresses) -> Addresses:
    return (first, *(address for address in addresses if address != first))
