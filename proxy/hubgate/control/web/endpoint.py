"""An aiohttp application on the supervisor's listeners: the API or the metrics."""

import asyncio
import socket
import ssl
import time
from collections.abc import Sequence

from aiohttp import web

from hubgate.certificates.contexts import renew_pair, server_context
from hubgate.control.listening.sockets import BACKLOG, Listener
from hubgate.control.web.connection import ControlServer
from hubgate.control.web.protocol import LastResponses, awaits_first_request, hide_software
from hubgate.model import ServerTLS, TcpKeepalive, WorkerConfig
from hubgate.tasks import settle_arrivals, spawn
from hubgate.transport.admission import Admission, PortLimits, control_limits
from hubgate.transport.arrivals import Factory, over_tls
from hubgate.transport.dead_peers import probe_options, probe_peer

# Seconds a request in progress gets to finish when the supervisor ends.
CLOSE_LIMIT = 2.0

# Seconds when another release takes over: for requests in progress to finish; for a connection that
# has carried requests to send one more, whose response tells its client of the close; and for one
# made just before to send its first, as its client has no reason to expect a close.
SUSPEND_LIMIT = 15.0
ARRIVAL_LIMIT = 0.5
FIRST_REQUEST_LIMIT = 5.0

# Seconds between two looks for connections that take too long.
SWEEP_INTERVAL = 0.5

# Bytes the kernel takes from a client before we read them, and so the most that one read returns;
# and bytes it takes from us before the client does, after which it shows that the client does not
# read. It allows itself twice as much.
KERNEL_BUFFER = 65536


class Endpoint:
    """Serves one application; its listeners are open already, so that failures come early.

    `admission` counts its connections, which have the limits of every port; `apply` sets them.
    `files` is how many connections the limit on open files allows. Raises ConfigError when the
    certificate cannot be used.
    """

    def __init__(
        self,
        app: web.Application,
        listeners: Sequence[Listener],
        tls: ServerTLS | None = None,
        admission: Admission | None = None,
        files: int = 1 << 30,
    ) -> None:
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, shutdown_timeout=CLOSE_LIMIT
        )
        self._last_responses = LastResponses(app)
        self._listeners = tuple(listeners)
        self._tls = tls
        self._context = server_context(tls) if tls is not None else None
        self._admission = admission or Admission("API", PortLimits(), time.monotonic)
        self._files = files
        self._config = WorkerConfig()
        self._server: ControlServer | None = None
        self._accepting: list[asyncio.Server] = []
        self._sweeper: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Endpoint {self._listeners}>"

    def apply(self, config: WorkerConfig) -> None:
        """Hold new connections to the limits and times in `config`, and open ones to most."""
        self._config = config
        self._probe_peers(config.tcp_keepalive)
        self._admission.limits = control_limits(config.limits, self._files)
        if self._server is not None:
            self._server.limits, self._server.timeouts = config.limits, config.timeouts

    async def start(self) -> None:
        """Serve requests from now on, the waiting ones first."""
        await self._runner.setup()
        hide_software(self._runner)
        server = self._runner.server
        assert server is not None
        self._server = ControlServer(server, self._admission, self._runner.app._handler_args or {})
        self.apply(self._config)
        for listener in self._listeners:
            for sock in listener.sockets:
                self._accepting.append(await self._accept(sock, self._server))
        self._sweeper = spawn(self._sweep(self._server), f"sweep {self._listeners}")

    def _probe_peers(self, probes: TcpKeepalive) -> None:
        """Have the kernel notice new clients that are gone for good."""
        for sock in (sock for listener in self._listeners for sock in listener.sockets):
            if sock.family != socket.AF_UNIX and sock.fileno() >= 0:
                probe_peer(sock, probe_options(probes))  # accepted connections inherit it

    async def _accept(self, sock: socket.socket, server: ControlServer) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        # Accepted connections inherit them.
        for buffer in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            sock.setsockopt(socket.SOL_SOCKET, buffer, KERNEL_BUFFER)
        made = server if self._context is None else self._over_tls(self._context, server)
        if sock.family == socket.AF_UNIX:
            return await loop.create_unix_server(made, sock=sock, backlog=BACKLOG)
        return await loop.create_server(made, sock=sock, backlog=BACKLOG)

    def _over_tls(self, context: ssl.SSLContext, server: ControlServer) -> Factory:
        return over_tls(server, self._admission, context, lambda: server.timeouts.head)

    async def _sweep(self, server: ControlServer) -> None:
        while True:
            await asyncio.sleep(SWEEP_INTERVAL)
            server.expire()

    def renew_certificate(self) -> None:
        """Use the certificate now in the files for new connections. Raises ConfigError."""
        if self._tls is not None and self._context is not None:
            renew_pair(self._context, self._tls)

    async def suspend(self) -> None:
        """Stop accepting and finish everything; new connections wait for another release."""
        self._stop_accepting()
        server = self._runner.server
        if server is None:
            return
        await settle_arrivals()
        await self._wait_for_arrivals(server, FIRST_REQUEST_LIMIT)
        server.pre_shutdown()
        await server.shutdown(SUSPEND_LIMIT / 2)  # it waits twice: for a response, then for its end
        await self.close()

    async def _wait_for_arrivals(self, server: web.Server, first_request: float) -> None:
        """Wait until nobody is likely to have a request on its way, for `first_request` at most."""
        self._last_responses.begun = True
        clock = asyncio.get_running_loop().time
        begun = clock()
        while (passed := (now := clock()) - begun) < first_request:
            arriving = passed < ARRIVAL_LIMIT and self._admission.handshakes
            active = not self._last_responses.all_idle(server, now, ARRIVAL_LIMIT)
            if not arriving and not active and not awaits_first_request(server):
                return
            await asyncio.sleep(0.01)

    def _stop_accepting(self) -> None:
        for accepting in self._accepting:
            accepting.close()
        self._accepting = []

    async def close(self, limit: float = 2 * CLOSE_LIMIT) -> None:
        """Stop listening, then finish requests in progress within `limit` seconds."""
        self._stop_accepting()
        if (server := self._runner.server) is not None:
            if server.connections:
                await self._wait_for_arrivals(server, min(limit / 2, ARRIVAL_LIMIT))
            server.pre_shutdown()
            await server.shutdown(limit / 4)  # it waits twice, as above
        await self._runner.cleanup()
        if self._sweeper is not None:
            self._sweeper.cancel()
