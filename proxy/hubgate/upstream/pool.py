"""Kept-alive connections to targets, the most recently used first: the pool only decides.

It returns what is to be closed, and the caller closes it.
"""

from collections import deque
from collections.abc import Callable

from hubgate.model import Timeouts
from hubgate.routing.target import Peer
from hubgate.upstream.connection import IDLE, UpstreamConnection

# A connection used in this many seconds is not surplus.
_IN_USE = 0.5
# A connection used in this many seconds is not one that its target is closing for being idle:
# servers wait for longer (gunicorn 2, Node, Apache and uvicorn 5, nginx 75 seconds).
_SURE = 1.0


class Pool:
    """Idle connections keyed by peer; `clock` is the event loop's, in seconds.

    What one peer has beyond `max_idle` is kept for as long as it is in use, and is surplus at the
    next sweep but one: a burst of requests finds its connections again. With a `max_idle` of 0,
    nothing is kept. Beyond `most` in all, as each takes a file descriptor, those idle longest are
    surplus at the next sweep. No connection lives longer than `timeouts.upstream_age` seconds in
    all.
    """

    def __init__(
        self,
        timeouts: Timeouts,
        max_idle: int,
        clock: Callable[[], float],
        most: int | None = None,
    ) -> None:
        self._timeouts = timeouts
        self._max_idle = max_idle
        self._most = most
        self._clock = clock
        self._idle: dict[Peer, deque[UpstreamConnection]] = {}

    def __repr__(self) -> str:
        return f"<Pool {sum(map(len, self._idle.values()))} idle>"

    def adopt(self, connection: UpstreamConnection) -> None:
        """Register a new connection of the caller's, which may be put into this pool only."""
        connection.home = self
        connection.expires = self._clock() + self._timeouts.upstream_age

    def take(self, peer: Peer) -> UpstreamConnection | None:
        """Return an idle connection to `peer`, now owned by the caller, or None."""
        idle = self._idle.get(peer)
        while idle:
            connection = idle.pop()
            if connection.state is IDLE and not connection.transport.is_closing():
                return connection
        return None

    def take_sure(self, peer: Peer) -> UpstreamConnection | None:
        """Return a connection as `take` does, but only one that was in use a moment ago."""
        idle, limit = self._idle.get(peer), self._clock() - _SURE
        # The last one was used most recently.
        while idle and idle[-1].idle_since >= limit:
            connection = idle.pop()
            if connection.state is IDLE and not connection.transport.is_closing():
                return connection
        return None

    def put(self, connection: UpstreamConnection) -> bool:
        """Keep a connection whose response has ended; False means the caller must close it."""
        now = self._clock()
        if (
            not connection.reusable
            # One from a pool that was replaced may have a different TLS identity.
            or connection.home is not self
            or not self._max_idle
            or connection.expires < now
            or connection.transport.is_closing()
            # The next request would wait behind a body that the target has not read.
            or connection.transport.get_write_buffer_size()
        ):
            return False
        connection.release()
        connection.idle_since = now
        idle = self._idle.get(connection.peer)
        if idle is None:
            idle = self._idle[connection.peer] = deque()
        idle.append(connection)
        return True

    def forget(self, connection: UpstreamConnection) -> None:
        """Drop `connection`: its target has closed it."""
        idle = self._idle.get(connection.peer)
        if idle is not None and connection in idle:
            idle.remove(connection)

    def sweep(self) -> list[UpstreamConnection]:
        """Return connections idle for too long, and surplus ones; forget peers without any."""
        now = self._clock()
        limit, unused = now - self._timeouts.upstream_idle, now - _IN_USE
        swept: list[UpstreamConnection] = []
        for peer, idle in list(self._idle.items()):
            while idle and idle[0].idle_since < limit:
                swept.append(idle.popleft())
            while len(idle) > self._max_idle and idle[0].idle_since < unused:
                swept.append(idle.popleft())
            if not idle:
                del self._idle[peer]
        return swept + self._beyond_most()

    def _beyond_most(self) -> list[UpstreamConnection]:
        """Return those idle longest, as many as there are too many in all."""
        surplus = sum(map(len, self._idle.values())) - (self._most or 0)
        if self._most is None or surplus <= 0:
            return []
        kept = [connection for idle in self._idle.values() for connection in idle]
        swept = sorted(kept, key=lambda connection: connection.idle_since)[:surplus]
        for connection in swept:
            self.forget(connection)
        return swept

    def close(self) -> list[UpstreamConnection]:
        """Stop keeping connections; return every idle one."""
        self._max_idle = 0
        kept = [connection for idle in self._idle.values() for connection in idle]
        self._idle.clear()
        return kept
