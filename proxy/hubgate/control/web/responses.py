"""Plain responses of the control plane's ports, and what a response tells the log."""

from collections.abc import Awaitable, Callable

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

REASON = web.ResponseKey("reason", str)
"""Why the response is what it is, for its line in the log."""

UNLOGGED = web.ResponseKey("unlogged", bool)
"""True for a response that gets no line in the log."""


def plain(status: int, text: str = "") -> web.Response:
    """Return a response whose body is one line of text, or empty."""
    return web.Response(status=status, text=text) if text else web.Response(status=status)


def not_allowed(*methods: str) -> web.Response:
    """Return the answer to another method than `methods` on a path that exists."""
    response = plain(405, "Method Not Allowed")
    response.headers["Allow"] = ", ".join(methods)
    return response
