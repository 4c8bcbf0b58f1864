"""The data plane of one worker: listeners in front, a pool behind, the table in between."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count

from hubgate.certificates.contexts import client_context, server_context
from hubgate.dataplane.access_log.log import AccessLog
from hubgate.dataplane.access_log.record import Record
from hubgate.dataplane.counters import Counters
from hubgate.dataplane.downstream.acceptor import Acceptor
from hubgate.dataplane.downstream.connection import DownstreamConnection
from hubgate.dataplane.downstream.redirect import RedirectServer, RedirectServices
from hubgate.dataplane.downstream.server import DownstreamServer
from hubgate.dataplane.error_log import ErrorLog
from hubgate.dataplane.forwarding.error_pages import ErrorPages
from hubgate.dataplane.forwarding.exchange import Exchange
from hubgate.dataplane.forwarding.match import Matcher
from hubgate.dataplane.forwarding.request_writer import RequestWriter
from hubgate.dataplane.forwarding.response_writer import ResponseWriter
from hubgate.dataplane.forwarding.time_limits import any_time_limit
from hubgate.dataplane.forwarding.trust import Trust
from hubgate.dataplane.tunnels.tunnel import Tunnel
from hubgate.dataplane.unfinished import Unfinished
from hubgate.errors import StoppedError
from hubgate.http1.fast_path import HeaderBlocks
from hubgate.http1.reader import IncomingRequest
from hubgate.model import Report, WorkerConfig
from hubgate.routing.table import RouteEntry, RouteTable
from hubgate.tasks import settle_arrivals, spawn
from hubgate.transport.admission import Admission, PortLimits, port_limits
from hubgate.transport.allocator import FreeMemory
from hubgate.transport.descriptors import files_allowed, worker_share
from hubgate.transport.turns import Turns
from hubgate.upstream.connector import Connector
from hubgate.upstream.dial import Dialer
from hubgate.upstream.pool import Pool
from hubgate.upstream.resolver import Resolver

_SWEEP_INTERVAL = 0.5
# How often memory that is free may be given back to the system: every so many sweeps.
_SWEEPS_TO_GIVE_BACK = 10
_RETIRED_INTERVAL = 0.1
_DRAINING_INTERVAL = 0.02
# A connection made a moment ago gets this long, in seconds, to begin its request.
_ARRIVAL = 0.1
# One whose TLS handshake goes on gets this long for it.
_HANDSHAKE = 1.0
# A drain ends within its time: so many seconds before, but at most a tenth of it, what is left is
# cut off. Then clients get some of them to read their last answers, and the access log the rest.
_LAST_STEPS = 0.7
_PARTING = 0.2
# The log is written until so many seconds before the end: the process has to exit as well.
_EXIT = 0.2
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
        self.turns = Turns(self.loop)
        clock, refused = self.loop.time, self.counters.refused
        cleartext = self.counters.cleartext
        self.admission = Admission("public", PortLimits(), clock, refused, cleartext)
        self._redirect = RedirectServices(
            Admission("redirect", PortLimits(), clock, refused), self.turns
        )
        self.access_log = AccessLog()
        self.header_blocks = HeaderBlocks(config.limits)
        self._resolver = Resolver()
        self.open_stream: Callable[[DownstreamConnection, IncomingRequest], Exchange] = partial(
            Exchange, self
        )
        self._configure(config)
        self._listener = DownstreamServer(self)
        self._acceptors: list[Acceptor] = []
        self._sweeper: asyncio.Task[None] | None = None
        self._free_memory = FreeMemory()

    def _configure(self, config: WorkerConfig) -> None:
        """Take over everything but the listening sockets; what is in flight keeps what it has."""
        tls = client_context(config.client_tls)
        self.access_log.configure(config.access_log)
        self.request_log = None if config.access_log is None else self.access_log
        self.limits = config.limits
        if config.limits != self.header_blocks.limits:
            self.header_blocks = HeaderBlocks(config.limits)
        self.timeouts = config.timeouts
        self.has_time_limits = any_time_limit(config.timeouts)
        self.trust = Trust(config.rules.trusted_peers)
        self.request_writer = RequestWriter(config.rules, self.trust)
        self.response_writer = ResponseWriter(config.rules)
        share = worker_share(files_allowed(), config.limits.connections)
        self.pool = Pool(config.timeouts, config.limits.upstream_idle, self.loop.time, share.idle)
        dialer = Dialer(config.timeouts, tls, config.tcp_keepalive, self._resolver)
        self.connector = Connector(self.pool, config.timeouts, dialer, self.turns)
        self.error_pages = ErrorPages(config.rules, self.connector, config.timeouts.connect)
        self.admission.limits = port_limits(config.limits, share.public)
        self._redirect.configure(config, self.header_blocks)
        self._redirect.admission.limits = port_limits(config.limits, share.redirect)
        self._config = config

    def __repr__(self) -> str:
        return f"<DataPlane {len(self._listener.clients)} clients, {len(self.tunnels)} tunnels>"

    async def start(
        self, public: Sequence[socket.socket], redirect: Sequence[socket.socket]
    ) -> None:
        """Accept connections on inherited, listening sockets."""
        tls = server_context(self._config.tls) if self._config.tls is not None else None
        self._acceptors = [Acceptor(sock, self._listener) for sock in public]
        redirecting = RedirectServer(self._redirect, self._listener)
        self._acceptors += [Acceptor(sock, redirecting, cleartext=True) for sock in redirect]
        for acceptor in self._acceptors:
            await acceptor.open(tls, self._config.tcp_keepalive)
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
            await acceptor.open(tls, config.tcp_keepalive)
        await self.access_log.settle()

    async def retire(self, limit: float) -> None:
        """Stop accepting while other workers go on; what is open gets `limit` seconds to end.

        Returns when every connection is closed or the limit has passed; call `drain` next. An
        idle connection is not closed early, because its client may be about to use it; the next
        response on it announces that it is the last.
        """
        await self._stop_accepting()
        deadline = self.loop.time() + limit
        while (self._close_after_responses() or self.admission.handshakes) and (  # noqa: ASYNC110
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
        return bool(self._listener.clients or self.tunnels)

    async def drain(self, timeout: float) -> None:
        """Stop accepting, let requests finish for `timeout` seconds, close tunnels properly.

        Returns when every connection is closed. What is still open at the end is cut off, counted
        and logged: a request without a response gets a 503, one with half of it a reset. A client
        is told that a response is its last, or its connection has been idle for a second; like
        nginx's `keepalive_min_timeout` and HAProxy's `idle-close-on-response`, so that no request
        meets a close on its way.
        """
        end = self.loop.time() + timeout
        await self._stop_accepting()
        now = self.loop.time()
        arrived, deadline = now + min(timeout, _ARRIVAL), end - min(_LAST_STEPS, timeout / 10)
        while (self._finish_up(arrived) or self._awaits_handshake(now)) and (  # noqa: ASYNC110
            self.loop.time() < deadline
        ):
            await asyncio.sleep(_DRAINING_INTERVAL)
        self._cut_off()
        await self._part(min(_PARTING, end - self.loop.time()))
        self._close()
        await self._end_log(end - _EXIT)

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
        return bool(self._listener.clients or self.tunnels)

    def _awaits_handshake(self, since: float) -> bool:
        """Whether a client is connecting, who has a moment for it from `since` on."""
        return bool(self.admission.handshakes) and self.loop.time() < since + _HANDSHAKE

    def _cut_off(self) -> None:
        error = StoppedError("hubgate ended before the response did")
        unfinished = Unfinished(self.counters)
        for client in self._listener.clients:
            if client.unfinished:
                unfinished.add("request", client.cut_off(error))
            else:
                client.cut_off(error)
        for tunnel in list(self.tunnels):
            unfinished.add("tunnel", tunnel.entry)
            if tunnel.record is not None and tunnel.record.error is None:
                tunnel.record.error = error
            tunnel.abort()
        unfinished.tell()

    async def _part(self, seconds: float) -> None:
        """Give clients time to take what was written a moment ago, and to close."""
        await settle_arrivals()
        end = self.loop.time() + seconds
        while self._listener.clients and self.loop.time() < end:  # noqa: ASYNC110
            await asyncio.sleep(_DRAINING_INTERVAL)

    def _close(self) -> None:
        for client in self._listener.clients:
            client.abort()
        for tunnel in list(self.tunnels):
            tunnel.abort()
        self.connector.close()
        self._resolver.close()
        if self._sweeper is not None:
            self._sweeper.cancel()

    async def _end_log(self, end: float) -> None:
        """Write the last lines, including those of requests that were just cut off, by `end`."""
        for _ in range(_ROUNDS_TO_CLOSE):
            if self._listener.clients or self.tunnels:
                await asyncio.sleep(0)
        await self.access_log.close(end - self.loop.time())

    def report(self) -> Report:
        """Return what has grown since the last call, and what is open now."""
        self.counters.access_log_dropped += self.access_log.dropped()
        activity, counters = self.table.take_activity(), self.counters.take()
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
