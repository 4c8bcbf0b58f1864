"""The REST API of the route table, as CHP's clients know it."""

from collections.abc import Awaitable, Callable
from importlib.resources import files

from aiohttp import web

from hubgate.control.api.bulk import BulkApi
from hubgate.control.api.dates import milliseconds, parse_moment
from hubgate.control.api.openapi import description
from hubgate.control.api.posted_route import posted_route
from hubgate.control.api.preconditions import etag, expected_tables
from hubgate.control.api.request_log import access_middleware
from hubgate.control.api.request_path import ApiPath, decode_route, split_target
from hubgate.control.api.served import served
from hubgate.control.api.table_json import NO_HEADERS, json_response, shown, table_response
from hubgate.control.api.watch import watch_page
from hubgate.control.metrics.totals import Metrics
from hubgate.control.routes.live_table import LiveRoute
from hubgate.control.routes.publishing import Workers
from hubgate.control.routes.report_refresh import ReportRefresh
from hubgate.control.routes.service import RouteService
from hubgate.control.web.auth import caller_of
from hubgate.control.web.guard import Guard
from hubgate.control.web.pages import Pages, by_method
from hubgate.control.web.protocol import handler_args
from hubgate.control.web.responses import Handler, not_allowed, plain
from hubgate.errors import OutOfScopeError, RouteError, RouteNotFoundError
from hubgate.model import ForwardRules
from hubgate.routing.keys import clean_host, join_key, split_key
from hubgate.settings import Settings

MAX_BODY = 1024 * 1024
"""Bytes a POST body may have; a larger one gets 413."""


class RoutesApi:
    """Handles requests for `/api/routes`."""

    def __init__(
        self,
        service: RouteService,
        rules: ForwardRules,
        reports: ReportRefresh,
        metrics: Metrics,
    ) -> None:
        self._service = service
        self._rules = rules
        self._reports = reports
        self._metrics = metrics
        self._methods: dict[
            str, Callable[[web.Request, ApiPath, str], Awaitable[web.StreamResponse]]
        ] = {"GET": self._get, "POST": self._post, "DELETE": self._delete}
        bulk = BulkApi(service, rules, metrics)
        self._of_table = {"PUT": bulk.put, "PATCH": bulk.patch}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Handle any request that no other page takes."""
        path = split_target(request.raw_path)
        if path.route is None:
            return plain(404, "Not Found")
        whole = path.route in ("", "/")
        if whole and (change := self._of_table.get(request.method)) is not None:
            return await change(request, path)
        method = self._methods.get(request.method)
        if method is None:
            return not_allowed(*self._methods, *(self._of_table if whole else ()))
        return await method(request, path, path.route)

    async def _get(self, request: web.Request, path: ApiPath, route: str) -> web.StreamResponse:
        if route in ("", "/"):
            return await self._get_table(request, path)
        key = self._sought(request, path, route)
        await self._reports.refresh()
        return json_response(shown(self._service.get(key)))

    async def _get_table(self, request: web.Request, path: ApiPath) -> web.StreamResponse:
        dates = (path.query.get(name) for name in ("inactiveSince", "inactive_since"))
        limits = [milliseconds(parse_moment(date)) for date in dates if date]
        limit = limits[0] if limits else None
        host = self._host(path)
        host = clean_host(host) if host else ""
        await self._reports.refresh()
        self._metrics.count("api_route_get")

        scope = caller_of(request).scope

        def wanted(live: LiveRoute) -> bool:
            idle = limit is None or milliseconds(live.last_activity) < limit
            key = live.route.key
            return idle and scope.sees(key) and (not host or split_key(key)[0] == host)

        # Whoever names a host is shown it.
        called = str if host or scope.is_everything else scope.outward
        whole = limit is None and not host
        # Taken in one step with the first routes.
        headers = {"ETag": etag(self._service.changes.revision)} if whole else NO_HEADERS
        every = None if whole and scope.is_everything else wanted
        return await table_response(request, self._service.all(), every, called, headers)

    async def _post(self, request: web.Request, path: ApiPath, route: str) -> web.StreamResponse:
        scope, expected = caller_of(request).scope, expected_tables(request)
        key = scope.inward(self._key(path, route))
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return plain(413, f"the body is larger than {MAX_BODY} bytes")
        posted = posted_route(body, key, self._rules, scope)
        missing = await self._service.add(posted, expected)
        self._metrics.count("api_route_add")
        return served(plain(201), missing)

    async def _delete(self, request: web.Request, path: ApiPath, route: str) -> web.StreamResponse:
        key = self._sought(request, path, route)
        self._metrics.count("api_route_delete")
        missing = await self._service.remove(key, expected_tables(request))
        return served(plain(204), missing)

    def _host(self, path: ApiPath) -> str:
        host = path.query.get("host", "")
        if host and not self._rules.native_routes:
            # CHP ignores it; the route would then apply to every host.
            raise RouteError("host: routes have no host here; with --host-routing write /HOST/PATH")
        return host

    def _key(self, path: ApiPath, route: str) -> str:
        return join_key(self._host(path), decode_route(route))

    def _sought(self, request: web.Request, path: ApiPath, route: str) -> str:
        """Return the key of a stored route. What is another token's is not there."""
        key = self._key(path, route)
        try:
            return caller_of(request).scope.inward(key)
        except OutOfScopeError:
            raise RouteNotFoundError(f"there is no route {key}") from None


def build_api(
    service: RouteService,
    settings: Settings,
    workers: Workers,
    metrics: Metrics,
    guard: Guard,
) -> web.Application:
    """Return the application for the API's port; the caller gives it its sockets.

    More `Pages` can be added to it: every path that no other page takes is the API's. A request
    without the token gets 403, whether the path exists or not.
    """
    rules = settings.worker.rules
    api = RoutesApi(service, rules, ReportRefresh(workers), metrics)
    app = web.Application(
        client_max_size=MAX_BODY,
        middlewares=[access_middleware(metrics)],
        handler_args=handler_args(),
    )
    pages = Pages(app, guard)
    pages.add_open("/", _fixed_page(_landing_page(), "text/html"))
    pages.add_open("/api/openapi.json", _fixed_page(description(), "application/json"))
    pages.add("/api/watch", watch_page(service, guard))
    # (?s) so that a path with %0A is the API's too.
    pages.add("/{rest:(?s:.*)}", api.handle)
    return app


def _fixed_page(body: bytes, content_type: str) -> Handler:
    """Return a page that needs no token: it reveals nothing about this installation."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type=content_type)

    return by_method({"GET": answer, "HEAD": answer})


def _landing_page() -> bytes:
    return files("hubgate.control.api").joinpath("landing.html").read_bytes()
