"""The route table as JSON, in slices: a hundred thousand routes must not stall the API."""

import asyncio
import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

from aiohttp import web

from proxy.control.dates import format_moment
from proxy.control.routes import LiveRoute

ROUTES_PER_SLICE = 500
"""About two milliseconds of work between two turns of the event loop."""

_encode = json.JSONEncoder(separators=(",", ":")).encode


def shown(live: LiveRoute) -> dict[str, Any]:
    """Return a route's data as the API shows it."""
    return {**live.route.data, "last_activity": format_moment(live.last_activity)}


def json_response(value: object) -> web.Response:
    """Return `value` as a JSON response."""
    return web.Response(body=_encode(value).encode(), content_type="application/json")


async def table_response(request: web.Request, routes: Iterator[LiveRoute]) -> web.StreamResponse:
    """Answer with the object {key: data} of `routes`, streamed if it takes several slices."""
    head = _members(routes)
    following = _members(routes)
    if not following:
        return web.Response(body=_object(head), content_type="application/json")
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    try:
        await response.prepare(request)
        await response.write(b"{" + head)
        while following:
            await response.write(b"," + following)
            # write() alone does not yield while the socket takes everything.
            await asyncio.sleep(0)
            following = _members(routes)
        await response.write_eof(b"}")
    except ConnectionError:
        # The client left; a response cut short tells nobody anything false.
        request.protocol.force_close()
    return response


def _members(routes: Iterator[LiveRoute]) -> bytes:
    part = {live.route.key: shown(live) for live in islice(routes, ROUTES_PER_SLICE)}
    return _encode(part)[1:-1].encode()


def _object(members: bytes) -> bytes:
    return b"{" + members + b"}"
