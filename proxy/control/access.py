"""Around every request to the API's port: its log line, its count, and errors as answers."""

import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from proxy.control.metrics import Metrics
from proxy.errors import HubgateError, Side

log = logging.getLogger("hubgate.api")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
REASON = web.ResponseKey("reason", str)


def plain(status: int, text: str = "") -> web.Response:
    """Return a response whose body is one line of text, or empty."""
    return web.Response(status=status, text=text) if text else web.Response(status=status)


def access_middleware(metrics: Metrics) -> Callable[..., Awaitable[web.StreamResponse]]:
    """Return the outermost middleware: it answers errors, logs and counts every response."""

    @web.middleware
    async def access(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await _answer(request, handler)
        metrics.count(f"requests_api:{response.status}")
        _log(request, response)
        if isinstance(response, web.HTTPException):
            raise response
        return response

    return access


async def hide_server(_: web.Request, response: web.StreamResponse) -> None:
    """Drop the header that tells which software, in which version, answers."""
    response.headers.popall("Server", None)


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except HubgateError as error:
        if error.side is Side.OURS:
            log.error("%s", error)
        return plain(error.status, f"{error}")
    except web.RequestPayloadError:
        return plain(400, "the body could not be read")
    except web.HTTPException as error:
        return error
    except Exception:
        log.exception("%s failed", request.method)
        return plain(500, "Internal Server Error")


def _log(request: web.Request, response: web.StreamResponse) -> None:
    # The query stays out, as in CHP's lines; what is not ASCII cannot forge a line.
    path = request.raw_path.partition("?")[0].encode("ascii", "backslashreplace").decode()
    level = logging.INFO if response.status < 400 else logging.WARNING
    if response.status >= 500:
        level = logging.ERROR
    reason = response.get(REASON, "")
    log.log(level, "%d %s %s %s", response.status, request.method, path, reason)
