"""Many routes in one call: PUT of a whole table, PATCH of several routes; both as one revision."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

from aiohttp import web

from hubgate.control.api.dates import parse_moment
from hubgate.control.api.object_reader import ObjectReader
from hubgate.control.api.posted_route import checked_data, checked_route
from hubgate.control.api.preconditions import etag, expected_tables
from hubgate.control.api.request_path import ApiPath, check_segments
from hubgate.control.api.served import served
from hubgate.control.api.table_json import json_response
from hubgate.control.metrics.totals import Metrics
from hubgate.control.routes.bulk_changes import (
    GivenRoute,
    Mistakes,
    Plan,
    merge_patch,
    whole_table,
)
from hubgate.control.routes.change_log import SeenTable
from hubgate.control.routes.service import RouteService
from hubgate.control.web.auth import caller_of
from hubgate.control.web.responses import plain
from hubgate.errors import RouteError, TableTooLargeError
from hubgate.model import LAST_ACTIVITY, ForwardRules, Route, RouteData
from hubgate.routing.keys import clean_key, is_usual_key
from hubgate.routing.scope import Scope
from hubgate.tasks import STRIDE, Pace, no_collections

LARGEST = 64 * 1024 * 1024
"""Bytes a body may have; a hundred thousand routes of a hub take a quarter of it."""

_LARGE = 1024 * 1024

PATCH_TYPES = ("application/merge-patch+json", "application/json")


class BulkApi:
    """Handles PUT and PATCH of `/api/routes`."""

    def __init__(self, service: RouteService, rules: ForwardRules, metrics: Metrics) -> None:
        self._service = service
        self._rules = rules
        self._metrics = metrics

    async def put(self, request: web.Request, path: ApiPath) -> web.StreamResponse:
        """Make the table what the body says; needs `If-Match`."""
        hubs_too, dry_run = _switch(path, "hub"), _switch(path, "dry_run")
        _refuse_filters(path)
        expected = expected_tables(request)
        if "If-Match" not in request.headers:
            await _drain(request)
            return plain(
                428,
                "If-Match is missing: send the ETag of GET /api/routes, so that nothing is replaced"
                " that you have not seen, or * to replace whatever is there",
            )
        with _quietly(request):
            scope = caller_of(request).scope
            given = await self._entries(request, partial(self._given, scope))
            plan = whole_table(given, hubs_too, scope.sees)
            try:
                return await self._change(request, plan, expected, dry_run)
            finally:
                await Pace().empty(given)

    async def patch(self, request: web.Request, path: ApiPath) -> web.StreamResponse:
        """Change, add and remove the routes that the body names (RFC 7396)."""
        dry_run = _switch(path, "dry_run")
        _refuse_filters(path)
        expected = expected_tables(request)
        kind = request.content_type
        if "Content-Type" in request.headers and kind not in PATCH_TYPES:
            await _drain(request)
            response = plain(415, f"a body of type {PATCH_TYPES[0]} is needed, not {kind[:100]!r}")
            response.headers["Accept-Patch"] = ", ".join(PATCH_TYPES)
            return response
        with _quietly(request):
            patch = await self._entries(request, lambda _, value: value)
            plan = merge_patch(patch, partial(self._given, caller_of(request).scope))
            return await self._change(request, plan, expected, dry_run)

    async def _change(
        self, request: web.Request, plan: Plan, expected: SeenTable | None, dry_run: bool
    ) -> web.Response:
        done = await self._service.change(plan, expected, dry_run)
        change, keys = done.change, done.change.keys()
        counts: dict[str, Any] = {what: len(routes) for what, routes in keys.items()}
        if dry_run:
            called = caller_of(request).scope.outward
            counts["keys"] = {what: [*map(called, routes)] for what, routes in keys.items()}
        else:
            self._metrics.count("api_route_add", len(change.put))
            self._metrics.count("api_route_delete", len(change.delete))
        response = json_response(counts)
        response.headers["ETag"] = etag(done.revision)
        return served(response, done.missing)

    async def _entries(
        self, request: web.Request, make: Callable[[str, Any], Any]
    ) -> dict[str, Any]:
        """Return what `make` makes of each member of the body, by clean key. Raises RouteError."""
        found: dict[str, Any] = {}
        mistakes, pace, scope = Mistakes(), Pace(), caller_of(request).scope
        async for name, value in _members(request):
            if not len(found) % STRIDE:
                await pace.turn()
            try:
                key = scope.inward(self._key(name))
                if key in found:
                    raise RouteError("is there twice, perhaps in another spelling: keep one")
                found[key] = make(key, value)
            except RouteError as error:
                mistakes.add(name, error)
        mistakes.check()
        return found

    def _key(self, name: str) -> str:
        if is_usual_key(name):
            return name
        if not name.startswith("/") and not self._rules.native_routes:
            raise RouteError("a route's path begins with a slash here; none has a host")
        try:
            name.encode()
        except UnicodeEncodeError:
            raise RouteError("the path contains half a surrogate pair") from None
        check_segments(name)
        return clean_key(name)

    def _given(self, scope: Scope, key: str, value: Any) -> GivenRoute:
        """Return the route of a table's entry, as GET shows it. Raises RouteError."""
        data = dict(checked_data(value, "the route"))
        given = data.pop(LAST_ACTIVITY, None)
        moment = None if given is None else _parsed(given)
        there = self._service.stored(key)
        if there is not None and RouteData.of(there.data).text == RouteData.of(data).text:
            return GivenRoute(there, moment)  # checked when it was stored
        route = checked_route(data, key, self._rules, scope)
        kept = RouteData.of(route.data)
        return GivenRoute(Route(key, route.target, kept, route.options), moment)


def _quietly(request: web.Request) -> AbstractContextManager[None]:
    """Return what keeps a large change from being interrupted by the search for garbage."""
    size = request.content_length
    return nullcontext() if size is not None and size <= _LARGE else no_collections()


async def _members(request: web.Request) -> AsyncIterator[tuple[str, Any]]:
    """Yield the members of a body as they arrive. Raises RouteError, and for one too large."""
    reader, size, mistake = ObjectReader(), 0, None
    if (request.content_length or 0) > LARGEST:
        raise TableTooLargeError(f"the body is larger than {LARGEST >> 20} MiB")
    async for piece in request.content.iter_any():
        size += len(piece)
        if size > LARGEST:
            raise TableTooLargeError(f"the body is larger than {LARGEST >> 20} MiB")
        if mistake is not None:
            continue  # the client reads its response once it has sent everything
        try:
            for member in reader.feed(piece):
                yield member
        except RouteError as error:
            mistake = error
    if mistake is not None:
        raise mistake
    for member in reader.feed(b"", final=True):
        yield member


async def _drain(request: web.Request) -> None:
    """Read a body that is not wanted, unless it is too large."""
    if (request.content_length or 0) <= LARGEST:
        size = 0
        async for piece in request.content.iter_any():
            size += len(piece)
            if size > LARGEST:
                return


def _switch(path: ApiPath, name: str) -> bool:
    text = path.query.get(name, "0")
    if text not in ("0", "1"):
        raise RouteError(f"{name}: write 1 or 0, not {text[:100]!r}")
    return text == "1"


def _refuse_filters(path: ApiPath) -> None:
    """Refuse what selects routes for GET: ignoring it would change others than were meant."""
    for name in ("host", "inactiveSince", "inactive_since"):
        if name in path.query:
            raise RouteError(f"{name}: changes of the whole table cannot be limited to some routes")


def _parsed(moment: object) -> float:
    if not isinstance(moment, str):
        raise RouteError(f"{LAST_ACTIVITY}: write it as GET shows it: 2024-01-31T12:00:00.000Z")
    return parse_moment(moment, LAST_ACTIVITY)
