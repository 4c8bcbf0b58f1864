"""The data plane of one worker: listeners in front, a pool behind, the table in between."""

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count

from hubgate.certificates.contexts import client_context, server_context
from hubgate.dataplane.access_log.log import AccessLog
from hubgate.dataplane.access_log.record import Record
from hubgate.dataplane.counters import Counters
from hubgate.dataplane.downstream.acceptor import Acceptor
from hubgate.dataplane.downstream.admission import Admission
from hubgate.dataplane.downstream.connection import DownstreamConnection, DownstreamServer
from hubgate.dataplane.downstream.redirect import redirect_server
from hubgate.dataplane.error_log import ErrorLog
from hubgate.dataplane.forwarding.error_pages import ErrorPages
from hubgate.dataplane.forwarding.exchange import Exchange
from hubgate.dataplane.forwarding.match import Matcher
from hubgate.dataplane.forwarding.request_writer import RequestWriter
from hubgate.dataplane.forwarding.response_writer import ResponseWriter
from hubgate.dataplane.forwarding.time_limits import any_time_limit
from hubgate.dataplane.forwarding.trust import Trust
from hubgate.dataplane.tunnels.tunnel import Tunnel
from hubgate.http1.fast_path import HeaderBlocks
from hubgate.http1.reader import IncomingRequest
from hubgate.model import Report, WorkerConfig
from hubgate.routing.table import RouteEntry, RouteTable
from hubgate.tasks import settle_arrivals, spawn
from hubgate.transport.allocator import FreeMemory
from hubgate.upstream.connector import Connector
from hubgate.upstream.pool import Pool

_SWEEP_INTERVAL = 0.5
# How often memory that is free may be given back to the system: every so many sweeps.
_SWEEPS_TO_GIVE_BACK = 10
_RETIRED_INTERVAL = 0.1
_DRAINING_INTERVAL = 0.02
# A connection made a moment ago gets this long, in seconds, to begin its request.
_ARRIVAL = 0.1
# How many turns of the loop, at most, until connections that were cut off are gone.
_ROUNDS_TO_CLOSE = 10


class DataPlane:
    """Everything between a worker's public sockets and its targets.

    Reads `table`, never writes it. Raises ConfigError if a certificate cannot be used.
    """

    def __init__(self, config: WorkerConfig, table: RouteTable) -> None:
        self.loop = asyncio.get_running_loop()
        self.table = table
        self.counters = Counters()
        self.error_log = ErrorLog(self.loop.time)
        self.matcher = Matcher(table, self.counters)
        self.tunnels: set[Tunnel] = set()
        self.admission = Admission(config.limits)
        self.access_log = AccessLog()
        self.open_stream: Callable[[DownstreamConnection, IncomingRequest], Exchange] = partial(
            Exchange, self
        )
        self._configure(config)
        self._listener = DownstreamServer(self)
        self._acceptors: list[Acceptor] = []
        self._sweeper: asyncio.Task[None] | None = None
        self._free_memory = FreeMemory()
        self._reported = time.time()

    def _configure(self, config: WorkerConfig) -> None:
        """Take over everything but the listening sockets; what is in flight keeps what it has."""
        tls = client_context(config.client_tls)
        self.access_log.configure(config.access_log)
        self.request_log = None if config.access_log is None else self.access_log
        self.limits = config.limits
        self.header_blocks = HeaderBlocks(config.limits)
        self.timeouts = config.timeouts
        self.has_time_limits = any_time_limit(config.timeouts)
        self.trust = Trust(config.rules.trusted_peers)
        self.request_writer = RequestWriter(config.rules, self.trust)
        self.response_writer = ResponseWriter(config.rules)
        self.pool = Pool(config.timeouts, config.limits.upstream_idle, self.loop.time)
        self.connector = Connector(self.pool, config.timeouts, tls)
        self.error_pages = ErrorPages(config.rules, self.connector, config.timeouts.connect)
        self.admission.limits = config.limits
        self._config = config

    def __repr__(self) -> str:
        return f"<DataPlane {len(self._listener.clients)} clients, {len(self.tunnels)} tunnels>"

    async def start(
        self, public: Sequence[socket.socket], redirect: Sequence[socket.socket]
    ) -> None:
        """Accept connections on inherited, listening sockets."""
        tls = server_context(self._config.tls) if self._config.tls is not None else None
        self._acceptors = [Acceptor(sock, self._listener) for sock in public]
        for sock in redirect:
            server = redirect_server(lambda: self._config.redirect_to)
            self._acceptors.append(Acceptor(sock, server, cleartext=True))
        for acceptor in self._acceptors:
            await acceptor.open(tls)
        self._sweeper = spawn(self._sweep(), "sweep deadlines")

    async def reconfigure(self, config: WorkerConfig) -> None:
        """Serve new requests by `config`, and show new connections its certificate.

        What is open lives on. Raises ConfigError, with nothing changed, if a certificate cannot
        be used. How routes are matched (`host_routing`, `native_routes`) does not change.
        """
        tls = server_context(config.tls) if config.tls is not None else None
        old = self.connector
        self._configure(config)
        old.close()
        for acceptor in self._acceptors:
            await acceptor.open(tls)
        await self.access_log.settle()

    async def retire(self, limit: float) -> None:
        """Stop accepting while other workers go on; what is open gets `limit` seconds to end.

        Returns when every connection is closed or the limit has passed; call `drain` next. An
        idle connection is not closed early, because its client may be about to use it; the next
        response on it announces that it is the last.
        """
        await self._stop_accepting()
        now = self.loop.time()
        # A connection is among the clients only after its TLS handshake.
        handshakes = now + (self.timeouts.head if self._config.tls is not None else 0)
        deadline = now + limit
        while (self._close_after_responses() or self.loop.time() < handshakes) and (  # noqa: ASYNC110
            self.loop.time() < deadline
        ):
            await asyncio.sleep(_RETIRED_INTERVAL)

    async def _stop_accepting(self) -> None:
        """Give every socket up, and wait until all accepted connections are known."""
        for acceptor in self._acceptors:
            acceptor.retire()
        await settle_arrivals()

    def _close_after_responses(self) -> bool:
        """Make every connection close after its next response; return whether any is open."""
        for client in self._listener.clients:
            client.closing = True
        cleartext = any(acceptor.busy for acceptor in self._acceptors)
        return bool(self._listener.clients or self.tunnels or cleartext)

    async def drain(self, timeout: float) -> None:
        """Stop accepting, let requests finish for `timeout` seconds, close tunnels properly.

        Returns when every connection is closed; what is still open after the timeout is cut off.
        """
        await self._stop_accepting()
        now = self.loop.time()
        arrived, deadline = now + min(timeout, _ARRIVAL), now + timeout
        # A TLS handshake in progress is not visible in any counter.
        least = arrived if self._config.tls is not None else now
        while (self._finish_up(arrived) or self.loop.time() < least) and (  # noqa: ASYNC110
            self.loop.time() < deadline
        ):
            await asyncio.sleep(_DRAINING_INTERVAL)
        for acceptor in self._acceptors:
            await acceptor.close()
        self._close()
        await self._end_log()

    def _finish_up(self, arrived: float) -> bool:
        """Make connections and tunnels end, new ones as well; return whether there are any.

        `arrived` is when requests that were already sent have arrived, in the loop's seconds.
        """
        all_here = self.loop.time() >= arrived
        for client in self._listener.clients:
            if all_here:
                client.finish_up()
            else:
                client.closing = True
        for tunnel in list(self.tunnels):
            tunnel.shut_down()
        # Connections of a cleartext acceptor are closed with it.
        cleartext = not all_here and any(acceptor.busy for acceptor in self._acceptors)
        return bool(self._listener.clients or self.tunnels or cleartext)

    def _close(self) -> None:
        for client in self._listener.clients:
            client.abort()
        for tunnel in list(self.tunnels):
            tunnel.abort()
        self.connector.close()
        if self._sweeper is not None:
            self._sweeper.cancel()

    async def _end_log(self) -> None:
        """Write the last lines, including those of requests that were just cut off."""
        for _ in range(_ROUNDS_TO_CLOSE):
            if self._listener.clients or self.tunnels:
                await asyncio.sleep(0)
        await self.access_log.close()

    def report(self) -> Report:
        """Return what has grown since the last call, and what is open now."""
        since, self._reported = self._reported, time.time()
        self.counters.access_log_dropped += self.access_log.dropped()
        activity, counters = self.table.activity_since(since), self.counters.take()
        return Report(activity, counters, self.admission.open, len(self.tunnels))

    # --- tunnels ---------------------------------------------------------------------------------

    def open_tunnel(
        self,
        entry: RouteEntry,
        client: DownstreamConnection,
        websocket: bool,
        target: asyncio.Transport,
        first: tuple[bytes, bytes],
        record: Record | None,
    ) -> None:
        """Join client and target; `first` holds bytes already read from them.

        `record`, if there is one, is completed and logged when the tunnel ends.
        """
        tunnel = Tunnel(entry, client.peer, websocket, self._close_tunnel, record)
        self.tunnels.add(tunnel)
        entry.tunnels += 1
        tunnel.open(client.detach(), target, first)

    def _close_tunnel(self, tunnel: Tunnel) -> None:
        self.tunnels.discard(tunnel)
        self.admission.leave(tunnel.peer)
        tunnel.entry.tunnels -= 1
        if (record := tunnel.record) is not None:
            record.received, record.sent = tunnel.passed
            self.access_log.add(record)

    async def _sweep(self) -> None:
        """Close what has passed its deadline, twice a second: no timer per connection."""
        for sweeps in count(1):
            await asyncio.sleep(_SWEEP_INTERVAL)
            if not sweeps % _SWEEPS_TO_GIVE_BACK:
                self._free_memory.give_back(idle=not self.admission.open)
            self._expire()
            self.connector.sweep()

    def _expire(self) -> None:
        # Not in the loop of `_sweep`: its variables would keep what they last referred to alive.
        now = self.loop.time()
        for client in self._listener.clients:
            if client.deadline < now:
                client.expire()
        for tunnel in [tunnel for tunnel in self.tunnels if tunnel.deadline < now]:
            tunnel.expire()
