"""An aiohttp application on listeners of the supervisor: the API, the metrics."""

import ssl
from collections.abc import Sequence

from aiohttp import web

from proxy.control.sockets import BACKLOG, Listener

# Seconds a request that is being answered gets when the supervisor ends.
CLOSE_LIMIT = 2.0


class Endpoint:
    """Serves one application; the listeners are open already, so that starting cannot fail late."""

    def __init__(
        self,
        app: web.Application,
        listeners: Sequence[Listener],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, shutdown_timeout=CLOSE_LIMIT
        )
        self._listeners = tuple(listeners)
        self._tls = tls

    def __repr__(self) -> str:
        return f"<Endpoint {self._listeners}>"

    async def start(self) -> None:
        """Answer requests from now on, those that have waited first."""
        await self._runner.setup()
        for listener in self._listeners:
            for sock in listener.sockets:
                site = web.SockSite(self._runner, sock, ssl_context=self._tls, backlog=BACKLOG)
                await site.start()

    async def close(self) -> None:
        """Listen no more, then finish within two seconds what is being answered."""
        await self._runner.cleanup()
