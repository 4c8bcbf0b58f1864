"""How the control plane's ports speak HTTP: sizes, headers, and unreadable requests."""

import logging
from functools import partial
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from hubgate.transport.unsigned_request import UnsignedRequest

LONGEST_LINE = 65536
"""Bytes of a request line or a header field, as on the public port."""

LINGER = 2.0
"""Seconds to read on after an answer that did not wait for the body, so that it is not lost."""


class _OneLine(logging.Filter):
    """Turns a client's unreadable request into one line.

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
    """Return what an `aiohttp.web.Application` of the control plane gives its connections."""
    return {
        "logger": log,
        "max_line_size": LONGEST_LINE,
        "max_field_size": LONGEST_LINE,
        "lingering_time": LINGER,
    }


class _Request(UnsignedRequest, web.Request):
    """A request to an application whose response does not name our software."""


def hide_software(runner: web.AppRunner) -> None:
    """Have no response name our software; call it once the runner is set up.

    An application's own signal would not do: of an unreadable request, which aiohttp itself
    answers, the application never hears.
    """
    server = runner.server
    assert server is not None
    server.request_factory = partial(runner.app._make_request, _cls=_Request)
