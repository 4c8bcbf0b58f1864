"""Wraps every request to the API's port: its log line, its count, and errors as responses."""

import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from hubgate.control.api.served import MISSED
from hubgate.control.metrics.totals import Metrics
from hubgate.control.web.auth import caller_of
from hubgate.control.web.responses import REASON, UNCOUNTED, UNLOGGED, Handler, plain
from hubgate.errors import FileRouteError, HubgateError, OutOfScopeError, RouteNotFoundError

log = logging.getLogger("hubgate.api")

_LONGEST_PHRASE = 500


def access_middleware(metrics: Metrics) -> Callable[..., Awaitable[web.StreamResponse]]:
    """Return the outermost middleware: it turns errors into responses, logs and counts them all."""

    @web.middleware
    async def access(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await _answer(request, handler)
        noted = len(response) > 0  # most have none of these, which is slow to find out one by one
        if not (noted and response.get(UNCOUNTED)):
            metrics.count(f"requests_api:{response.status}")
        if name := caller_of(request).name:
            metrics.count(f"hubgate_api_token_requests_total:{name}")
        for name in response.get(MISSED, ()) if noted else ():
            metrics.count(f"hubgate_missing_replicas_total:{name}")
        if not (noted and response.get(UNLOGGED)):
            _log(request, response)
        if isinstance(response, web.HTTPException):
            raise response
        return response

    return access


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except HubgateError as error:
        response = plain(error.status, str(error))
        if not isinstance(error, RouteNotFoundError):
            response[REASON] = str(error)
        if isinstance(error, FileRouteError | OutOfScopeError):
            # A hub's log shows the reason phrase of a refusal, but not its body.
            response.set_status(error.status, _harmless(str(error))[:_LONGEST_PHRASE])
        return response
    except web.RequestPayloadError:
        return plain(400, "the body could not be read")
    except web.HTTPException as error:
        return error
    except OSError as error:
        # What aiohttp gives whoever reads a body whose connection has ended.
        if error is not request.content.exception():
            return _failed(request)
        log.info("%s", _harmless(f"{_called(request)} the client left in the middle of its body"))
        response = plain(400)  # nobody receives it
        response[UNCOUNTED] = response[UNLOGGED] = True
        return response
    except Exception:
        return _failed(request)


def _failed(request: web.Request) -> web.Response:
    log.exception("%s failed", request.method)
    return plain(500, "Internal Server Error")


def _log(request: web.Request, response: web.StreamResponse) -> None:
    # Whoever asks whether there is a route learns that there is none: nothing is wrong.
    asked = response.status == 404 and request.method in ("GET", "HEAD")
    level = logging.INFO if response.status < 400 or asked else logging.WARNING
    if response.status >= 500:
        level = logging.ERROR
    if not log.isEnabledFor(level):
        return
    name, reason = caller_of(request).name, response.get(REASON, "")
    if name:
        reason = f"by {name}: {reason}" if reason else f"by {name}"
    line = f"{response.status} {_called(request)} {reason}"
    log.log(level, "%s", _harmless(line))


def _called(request: web.Request) -> str:
    # Without the query, as in CHP's lines.
    return f"{request.method} {request.raw_path.partition('?')[0]}"


def _harmless(line: str) -> str:
    """Escape what could forge a log line or could not be written to the log."""
    return line.encode("unicode_escape").decode().rstrip()
