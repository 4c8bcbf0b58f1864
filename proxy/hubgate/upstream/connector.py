"""Connecting to targets that may be down, or not up yet."""

import asyncio
from collections.abc import Iterable

from hubgate.errors import ConnectError, RefusedError
from hubgate.model import Timeouts
from hubgate.routing.target import Peer
from hubgate.tasks import spawn
from hubgate.transport.flow import peer_has_closed
from hubgate.transport.turns import Turns
from hubgate.upstream.connection import UpstreamConnection, UpstreamState
from hubgate.upstream.dial import Dialer
from hubgate.upstream.pool import Pool

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 0.25
# Seconds after its last failure until an outage is forgotten.
_OUTAGE_KEPT = 60.0
# This many failures in quick succession are a storm.
_STORM = 3


class Outage:
    """A target that could not be connected to, again and again.

    From the third failure in a row on, `until` is when to try it again (loop time). A person
    who reloads a page after starting a server is not a storm, and reaches it at once.
    """

    __slots__ = ("_failures", "_interval", "error", "last", "until")

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._failures = 0
        self.error = ConnectError()
        self.last = 0.0
        self.until = 0.0

    def failed(self, error: ConnectError, now: float) -> None:
        """Record one more failure."""
        if not self.recent(now):
            self._failures = 0
            self.until = 0.0
        self._failures += 1
        # A new one: the traceback of this one leads to a client's connection and all its buffers.
        self.error, self.last = type(error)(*error.args), now
        if self._failures >= _STORM:
            self.until = now + self._interval

    def recent(self, now: float) -> bool:
        """Return whether the last failure is recent enough to count."""
        return now - self.last < 2 * self._interval


class Connector:
    """Opens connections, keeps them in `pool`, and remembers for a moment which targets are down.

    A storm of requests to a dead target thus costs one attempt every `timeouts.down` seconds,
    and a notebook that is just starting is waited for, `timeouts.ready` seconds at most. All
    connections share one TLS identity, that of `dialer`.
    """

    def __init__(self, pool: Pool, timeouts: Timeouts, dialer: Dialer, turns: Turns) -> None:
        self._pool = pool
        # Asked for every request: without a call in between.
        self.take = pool.take
        self._timeouts = timeouts
        self._dialer = dialer
        self._turns = turns
        self._outages: dict[Peer, Outage] = {}
        self._waits: dict[Peer, asyncio.Task[None]] = {}
        self._clock = asyncio.get_running_loop().time

    def __repr__(self) -> str:
        return f"<Connector {len(self._outages)} targets down, {self._pool}>"

    async def open(self, peer: Peer) -> UpstreamConnection:
        """Open a new connection to `peer`, owned by the caller; raises ConnectError."""
        connection = await self._dialer.connect(
            peer, lambda: UpstreamConnection(peer, self._pool.forget, self._turns)
        )
        if connection.state is UpstreamState.CLOSED:
            # Between the loop's turns: whoever uses it would wait for ever.
            raise ConnectError(f"{peer} closed the connection at once")
        self._pool.adopt(connection)
        return connection

    def take_verified(self, peer: Peer) -> UpstreamConnection | None:
        """Return an idle connection to `peer` that the target is surely reading from, or None.

        For a request that cannot be sent twice. A target may close a connection at the very moment
        a request is on its way to it, and nothing tells that from one that acted on the request
        before it closed: neither an end nor a reset says what was read. So the connection must have
        been in use a moment ago, when no target closes it for being idle, and must not have ended
        since the last read, which takes a system call. A new connection costs less than a request
        that is lost.
        """
        pool = self._pool
        while (connection := pool.take_sure(peer)) and peer_has_closed(connection.transport):
            connection.abort()
        return connection

    def give_back(self, connection: UpstreamConnection) -> None:
        """Keep a connection whose response has ended, or close it."""
        if not self._pool.put(connection):
            connection.abort()

    def outage(self, peer: Peer) -> ConnectError | None:
        """Return why `peer` need not be tried, or None if it is worth an attempt."""
        outage = self._outages.get(peer)
        if outage is None or not outage.until:
            return None
        now = self._clock()
        if now < outage.until:
            return outage.error
        # This caller makes the attempt; all others still get the error.
        outage.until = now + self._timeouts.down
        return None

    async def connect(self, peer: Peer, patient: bool) -> UpstreamConnection:
        """Open a connection; raises ConnectError.

        With `patient`, a target that refuses is given a little time to come up, unless it is
        known to be down.
        """
        try:
            try:
                connection = await self.open(peer)
            except RefusedError:
                outage = self._outages.get(peer)
                if not patient or (outage is not None and outage.recent(self._clock())):
                    raise
                await self._wait_for(peer)
                connection = self.take(peer) or await self.open(peer)
        except ConnectError as error:
            outage = self._outages.setdefault(peer, Outage(self._timeouts.down))
            outage.failed(error, self._clock())
            raise
        self._outages.pop(peer, None)
        return connection

    async def _wait_for(self, peer: Peer) -> None:
        """Return when `peer` accepts connections or time is up; one poller for all."""
        poll = self._waits.get(peer)
        if poll is None:
            # Its own task: the first request to wait may leave before the others.
            poll = self._waits[peer] = spawn(self._poll(peer), "wait for a target")
            poll.add_done_callback(lambda _: self._waits.pop(peer))
        await asyncio.shield(poll)

    async def _poll(self, peer: Peer) -> None:
        deadline = self._clock() + self._timeouts.ready
        pause = _FIRST_PAUSE
        while (left := deadline - self._clock()) > 0:
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 2, _LONGEST_PAUSE)
            try:
                connection = await self.open(peer)
            except RefusedError:
                continue
            except ConnectError:
                return
            connection.reusable = True
            self.give_back(connection)
            return

    def sweep(self) -> None:
        """Close what has been idle for too long; forget outages without a recent failure."""
        _close(self._pool.sweep())
        limit = self._clock() - _OUTAGE_KEPT
        for peer in [peer for peer, outage in self._outages.items() if outage.last < limit]:
            del self._outages[peer]

    def close(self) -> None:
        """Close every idle connection, and any that is given back later."""
        _close(self._pool.close())


def _close(connections: Iterable[UpstreamConnection]) -> None:
    for connection in connections:
        connection.abort()
