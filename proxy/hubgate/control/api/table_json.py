"""The route table as JSON, in slices, so that 100,000 routes do not stall the API."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from aiohttp import web

from hubgate.control.api.dates import format_moment
from hubgate.control.routes.live_table import LiveRoute
from hubgate.model import LAST_ACTIVITY, Route, RouteData

ROUTES_PER_SLICE = 400
"""Less than a millisecond of work between two turns of the event loop."""

Wanted = Callable[[LiveRoute], bool]
Called = Callable[[str], str]

NO_HEADERS: Mapping[str, str] = {}

_ACTIVITY = f'"{LAST_ACTIVITY}"'

_encode = json.JSONEncoder(separators=(",", ":")).encode
_quoted = json.encoder.encode_basestring_ascii


def shown(live: LiveRoute) -> dict[str, Any]:
    """Return a route's data as the API shows it."""
    return {**live.route.data, LAST_ACTIVITY: format_moment(live.last_activity)}


def json_response(value: object) -> web.Response:
    """Return `value` as a JSON response."""
    return web.Response(body=_encode(value).encode(), content_type="application/json")


async def table_response(
    request: web.Request,
    routes: Iterator[LiveRoute],
    wanted: Wanted | None = None,
    called: Called = str,
    headers: Mapping[str, str] = NO_HEADERS,
) -> web.StreamResponse:
    """Respond with the object {key: data} of the routes that are `wanted`, by default all.

    `called` returns what a key is shown as. It is streamed if it takes more than one slice.
    """
    response, before, held = None, b"{", b""
    try:
        while part := list(islice(routes, ROUTES_PER_SLICE)):
            if wanted is not None:
                part = [live for live in part if wanted(live)]
            members = ",".join([_member(live, called) for live in part]).encode()
            if held and members:
                response = response or await _begun(request, headers)
                await response.write(before + held)
                before = b","
            held = members or held
            # write() alone does not yield while the socket takes everything.
            await asyncio.sleep(0)
        if response is None:
            text = b"{" + held + b"}"
            return web.Response(body=text, content_type="application/json", headers=headers)
        await response.write_eof(before + held + b"}")
    except ConnectionError:
        # The client left; a truncated response misleads nobody.
        request.protocol.force_close()
    return response or web.Response()


async def _begun(request: web.Request, headers: Mapping[str, str]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json", **headers})
    await response.prepare(request)
    return response


def stored_member(route: Route, called: Called = str) -> bytes:
    """Return a route as a member of the table, without its activity."""
    return f"{_quoted(called(route.key))}:{RouteData.of(route.data).text}".encode()


def encoded(value: object) -> bytes:
    """Return `value` as JSON."""
    return _encode(value).encode()


def _member(live: LiveRoute, called: Called) -> str:
    """Return a route as a member of the table; its data is already text."""
    route, moment = live
    data, key = route.data, _quoted(called(route.key))
    text = data.text if isinstance(data, RouteData) else RouteData.of(data).text
    if _ACTIVITY in text:
        return f"{key}:{_encode(shown(live))}"
    return f'{key}:{text[:-1]},{_ACTIVITY}:"{format_moment(moment)}"}}'
