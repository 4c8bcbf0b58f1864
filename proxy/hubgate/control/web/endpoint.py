"""An aiohttp application on listeners of the supervisor: the API, the metrics."""

import asyncio
from collections.abc import Sequence

from aiohttp import web

from hubgate.certificates.contexts import renew_pair, server_context
from hubgate.control.listening.sockets import BACKLOG, Listener
from hubgate.control.web.protocol import hide_software
from hubgate.model import ServerTLS
from hubgate.tasks import settle_arrivals

# Seconds a request that is being answered gets when the supervisor ends.
CLOSE_LIMIT = 2.0

# Seconds in which another release takes over: for what is being answered, and for a connection
# that was made a moment before to send its request.
SUSPEND_LIMIT = 15.0
ARRIVAL_LIMIT = 0.5


class Endpoint:
    """Serves one application; its listeners are open already, so that starting fails early.

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
        self._listeners = tuple(listeners)
        self._tls = tls
        self._context = server_context(tls) if tls is not None else None

    def __repr__(self) -> str:
        return f"<Endpoint {self._listeners}>"

    async def start(self) -> None:
        """Answer requests from now on, those that have waited first."""
        await self._runner.setup()
        hide_software(self._runner)
        for listener in self._listeners:
            for sock in listener.sockets:
                site = web.SockSite(self._runner, sock, ssl_context=self._context, backlog=BACKLOG)
                await site.start()

    def renew_certificate(self) -> None:
        """Show new connections the certificate that is in the files now. Raises ConfigError."""
        if self._tls is not None and self._context is not None:
            renew_pair(self._context, self._tls)

    async def suspend(self) -> None:
        """Accept nothing more and finish everything; whoever comes waits for another release."""
        for site in list(self._runner.sites):
            await site.stop()
        server = self._runner.server
        if server is None:
            return
        await settle_arrivals()
        loop = asyncio.get_running_loop()
        arrived = loop.time() + ARRIVAL_LIMIT
        # A TLS handshake that goes on shows nowhere.
        while (server.connections or self._tls is not None) and (  # noqa: ASYNC110
            loop.time() < arrived
        ):
            await asyncio.sleep(0.01)
        server.pre_shutdown()
        await server.shutdown(SUSPEND_LIMIT / 2)  # it waits twice: for an answer, then for its end
        await self.close()

    async def close(self) -> None:
        """Listen no more, then finish within two seconds what is being answered."""
        await self._runner.cleanup()
