"""How the control plane's ports handle HTTP: sizes, headers, and unreadable requests."""

import logging
from functools import partial
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from hubgate.transport.no_server_header import RequestWithoutServerHeader

LONGEST_LINE = 65536
"""Bytes of a request line or a header field, as on the public port."""

LINGER = 2.0
"""Seconds to keep reading after a response sent before the body's end, so that it is not lost."""


class _OneLine(logging.Filter):
    """Turns a client's unreadable request into one log line.

    aiohttp would log a traceback that quotes the request, and so the token in it.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            record.levelno, record.levelname = logging.WARNING, "WARNING"
            record.msg, record.args = "400, unreadable request: %s", (type(error).__name__,)
            record.exc_info = record.exc_text = None
        return True


log = logging.getLogger("hubgate.api.protocol")
log.addFilter(_OneLine())


def handler_args() -> dict[str, Any]:
    """Return the `handler_args` of the control plane's `aiohttp.web.Application`s."""
    return {
        "logger": log,
        "max_line_size": LONGEST_LINE,
        "max_field_size": LONGEST_LINE,
        "lingering_time": LINGER,
    }


class _Request(RequestWithoutServerHeader, web.Request):
    """A request to an application whose response does not name our software."""


def awaits_first_request(server: web.Server) -> bool:
    """Say whether a connection is open on which no whole request has come yet."""
    return any(connection._request_count == 0 for connection in server.connections)


class LastResponses:
    """Announces the end of each connection in its next response, once `begun`."""

    def __init__(self, app: web.Application) -> None:
        self.begun = False
        self._seen: dict[web.RequestHandler, tuple[int, float]] = {}
        app.on_response_prepare.append(self._announce)

    def __repr__(self) -> str:
        return f"<LastResponses {'begun' if self.begun else 'not yet'}>"

    async def _announce(self, _: web.Request, response: web.StreamResponse) -> None:
        if self.begun:
            response.force_close()
            response.headers["Connection"] = "close"

    def all_idle(self, server: web.Server, now: float, seconds: float) -> bool:
        """Return whether no connection has had a request for so many seconds of watching."""
        idle = True
        for connection in server.connections:
            count, since = self._seen.get(connection, (-1, now))
            if count != connection._request_count or connection._request_in_progress:
                since = now
            self._seen[connection] = connection._request_count, since
            idle = idle and now - since >= seconds
        return idle


def hide_software(runner: web.AppRunner) -> None:
    """Keep our software's name out of every response; call it once the runner is set up.

    The application's own signal would not be enough: aiohttp itself responds to an unreadable
    request, without calling the application.
    """
    server = runner.server
    assert server is not None
    server.request_factory = partial(runner.app._make_request, _cls=_Request)
