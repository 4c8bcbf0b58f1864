"""Plain responses of the control plane's ports, and what is logged about a response."""

from collections.abc import Awaitable, Callable

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

REASON = web.ResponseKey("reason", str)
"""Why the response is what it is, for its log line."""

RETRIED = frozenset((429, 503))
"""Statuses that are worth another attempt, after so many seconds:"""
RETRY_AFTER = "1"

UNLOGGED = web.ResponseKey("unlogged", bool)
"""True for a response that is not logged."""

UNCOUNTED = web.ResponseKey("uncounted", bool)
"""True for a response that the metrics do not count."""


def plain(status: int, text: str = "") -> web.Response:
    """Return a response whose body is one line of text, or empty."""
    response = web.Response(status=status, text=text) if text else web.Response(status=status)
    if status in RETRIED:
        response.headers["Retry-After"] = RETRY_AFTER
    return response


def unnoted(status: int, text: str) -> web.Response:
    """Return a line that is neither logged nor counted nor kept: it is asked for every second."""
    response = plain(status, f"{text}\n")
    response.headers["Cache-Control"] = "no-store"
    response[UNLOGGED] = response[UNCOUNTED] = True
    return response


def not_allowed(*methods: str) -> web.Response:
    """Return the response to a method not in `methods` on a path that exists."""
    response = plain(405, "Method Not Allowed")
    response.headers["Allow"] = ", ".join(methods)
    return response
