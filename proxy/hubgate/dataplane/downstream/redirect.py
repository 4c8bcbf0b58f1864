"""The plain-HTTP port that redirects every request to HTTPS."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from hubgate.transport.no_server_header import RequestWithoutServerHeader

_HOST = re.compile(r"[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\]")

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

# aiohttp's log lines would quote what strangers send, cookies and all.
_silent = logging.getLogger("hubgate.redirect")
_silent.disabled = True


def redirect_server(to_port: Callable[[], int | None]) -> web.Server:
    """Return the server of the redirecting port; unreadable requests get a 400 from aiohttp."""
    loop = asyncio.get_running_loop()

    def make(
        message: Any, payload: Any, protocol: Any, writer: Any, task: asyncio.Task[None]
    ) -> web.BaseRequest:
        return RequestWithoutServerHeader(message, payload, protocol, writer, task, loop)

    handler = redirect_handler(to_port)
    return web.Server(handler, request_factory=make, logger=_silent, access_log=None)


def redirect_handler(to_port: Callable[[], int | None]) -> Handler:
    """Return a handler that answers 301 to `https://HOST[:port]URL`, leaving out port 443."""

    async def redirect(request: web.BaseRequest) -> web.StreamResponse:
        host = request.headers.get("Host", "")
        name = host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
        if not _HOST.fullmatch(name):
            return web.Response(
                status=400,
                text="This port only redirects to HTTPS: the request has no valid Host.\n",
            )
        port = to_port()
        suffix = "" if port in (None, 443) else f":{port}"
        path = request.raw_path
        if not path.startswith("/"):
            path = urlsplit(path)._replace(scheme="", netloc="").geturl() if "://" in path else ""
            path = path if path.startswith("/") else f"/{path}"
        return web.Response(status=301, headers={"Location": f"https://{name}{suffix}{path}"})

    return redirect
