"""An aiohttp application on the supervisor's listeners: the API or the metrics."""

import asyncio
from collections.abc import Sequence

from aiohttp import web

from hubgate.certificates.contexts import renew_pair, server_context
from hubgate.control.listening.sockets import BACKLOG, Listener
from hubgate.control.web.protocol import LastResponses, awaits_first_request, hide_software
from hubgate.model import ServerTLS
from hubgate.tasks import settle_arrivals

# Seconds a request in progress gets to finish when the supervisor ends.
CLOSE_LIMIT = 2.0

# Seconds when another release takes over: for requests in progress to finish; for a connection that
# has carried requests to send one more, whose response tells its client of the close; and for one
# made just before to send its first, as its client has no reason to expect a close.
SUSPEND_LIMIT = 15.0
ARRIVAL_LIMIT = 0.5
FIRST_REQUEST_LIMIT = 5.0


class Endpoint:
    """Serves one application; its listeners are open already, so that failures come early.

    Raises ConfigError when the certificate cannot be used.
    """

    def __init__(
        self,
        app: web.Application,
        listeners: Sequence[Listener],
        tls: ServerTLS | None = None,
    ) -> None:
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, shutdown_timeout=CLOSE_LIMIT
        )
        self._last_responses = LastResponses(app)
        self._listeners = tuple(listeners)
        self._tls = tls
        self._context = server_context(tls) if tls is not None else None

    def __repr__(self) -> str:
        return f"<Endpoint {self._listeners}>"

    async def start(self) -> None:
        """Serve requests from now on, the waiting ones first."""
        await self._runner.setup()
        hide_software(self._runner)
        for listener in self._listeners:
            for sock in listener.sockets:
                site = web.SockSite(self._runner, sock, ssl_context=self._context, backlog=BACKLOG)
                await site.start()

    def renew_certificate(self) -> None:
        """Use the certificate now in the files for new connections. Raises ConfigError."""
        if self._tls is not None and self._context is not None:
            renew_pair(self._context, self._tls)

    async def suspend(self) -> None:
        """Stop accepting and finish everything; new connections wait for another release."""
        for site in list(self._runner.sites):
            await site.stop()
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
            # A TLS handshake in progress is not visible in any counter.
            arriving = passed < ARRIVAL_LIMIT and self._tls is not None
            active = not self._last_responses.all_idle(server, now, ARRIVAL_LIMIT)
            if not arriving and not active and not awaits_first_request(server):
                return
            await asyncio.sleep(0.01)

    async def close(self, limit: float = 2 * CLOSE_LIMIT) -> None:
        """Stop listening, then finish requests in progress within `limit` seconds."""
        for site in list(self._runner.sites):
            await site.stop()
        if (server := self._runner.server) is not None:
            if server.connections:
                await self._wait_for_arrivals(server, min(limit / 2, ARRIVAL_LIMIT))
            server.pre_shutdown()
            await server.shutdown(limit / 4)  # it waits twice, as above
        await self._runner.cleanup()
