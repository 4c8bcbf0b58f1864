"""Kept-alive connections to targets, the most recently used first."""

import asyncio
import ssl
from collections import deque

from hubgate.model import Timeouts
from hubgate.routing.target import Peer
from hubgate.transport.flow import has_left
from hubgate.upstream.connection import IDLE, UpstreamConnection
from hubgate.upstream.peer import connect

# A connection that was used in the last so many seconds is not surplus.
_IN_USE = 0.5


class Pool:
    """Idle connections keyed by peer. All connections share one TLS identity, `tls`.

    What one peer has beyond `max_idle` is kept for as long as it is in use, and closed by the
    next `sweep` but one: many requests at once find their connections again. With none to be
    kept, each is closed at once. None is kept longer than `timeouts.upstream_age` seconds in all.
    """

    def __init__(self, timeouts: Timeouts, tls: ssl.SSLContext | None, max_idle: int = 64) -> None:
        self._timeouts = timeouts
        self._tls = tls
        self._max_idle = max_idle
        self._idle: dict[Peer, deque[UpstreamConnection]] = {}
        self._clock = asyncio.get_running_loop().time

    def __repr__(self) -> str:
        return f"<Pool {sum(map(len, self._idle.values()))} idle>"

    def take(self, peer: Peer) -> UpstreamConnection | None:
        """Return an idle connection to `peer`, now the caller's, or None."""
        idle = self._idle.get(peer)
        while idle:
            connection = idle.pop()
            if connection.state is IDLE and not connection.transport.is_closing():
                return connection
        return None

    def take_surely(self, peer: Peer) -> UpstreamConnection | None:
        """Return an idle connection to `peer` whose end has not come, though nobody has read it.

        For a request that cannot be sent twice; it takes a system call more than `take`.
        """
        while (connection := self.take(peer)) is not None and has_left(connection.transport):
            connection.abort()
        return connection

    async def connect(self, peer: Peer) -> UpstreamConnection:
        """Open a new connection to `peer`, the caller's; raises ConnectError."""
        connection = await connect(
            peer,
            lambda: UpstreamConnection(peer, self._forget),
            self._tls,
            self._timeouts.connect,
        )
        connection.home = self
        connection.expires = self._clock() + self._timeouts.upstream_age
        return connection

    def put(self, connection: UpstreamConnection) -> None:
        """Take back a connection whose response has ended: keep it, or close it."""
        now = self._clock()
        if (
            not connection.reusable
            # One of a pool that was replaced may have another TLS identity than ours.
            or connection.home is not self
            or not self._max_idle
            or connection.expires < now
            or connection.transport.is_closing()
            # The next request would wait behind a body that the target has not read.
            or connection.transport.get_write_buffer_size()
        ):
            connection.abort()
            return
        connection.release()
        connection.idle_since = now
        idle = self._idle.get(connection.peer)
        if idle is None:
            idle = self._idle[connection.peer] = deque()
        idle.append(connection)

    def sweep(self) -> None:
        """Close what has been idle for too long, and surplus; forget peers without connections."""
        now = self._clock()
        limit, unused = now - self._timeouts.upstream_idle, now - _IN_USE
        for peer, idle in list(self._idle.items()):
            while idle and idle[0].idle_since < limit:
                idle.popleft().abort()
            while len(idle) > self._max_idle and idle[0].idle_since < unused:
                idle.popleft().abort()
            if not idle:
                del self._idle[peer]

    def close(self) -> None:
        """Close every idle connection, and each that is given back later."""
        self._max_idle = 0
        for idle in self._idle.values():
            for connection in idle:
                connection.abort()
        self._idle.clear()

    def _forget(self, connection: UpstreamConnection) -> None:
        idle = self._idle.get(connection.peer)
        if idle is not None and connection in idle:
            idle.remove(connection)
