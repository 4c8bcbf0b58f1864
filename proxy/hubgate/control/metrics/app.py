"""The application of the metrics port: /metrics and nothing else."""

import logging
from collections.abc import Callable

from aiohttp import web

from hubgate.control.health import Health
from hubgate.control.metrics.exposition import CONTENT_TYPE, Family, Samples
from hubgate.control.metrics.totals import Metrics
from hubgate.control.routes.publishing import Workers
from hubgate.control.routes.report_refresh import ReportRefresh
from hubgate.control.routes.service import RouteService
from hubgate.control.web.connection import prove
from hubgate.control.web.guard import Guard
from hubgate.control.web.pages import Pages
from hubgate.control.web.protocol import handler_args
from hubgate.control.web.responses import REASON, UNLOGGED, Handler, plain

log = logging.getLogger("hubgate.metrics")


def build_metrics_app(
    service: RouteService,
    workers: Workers,
    metrics: Metrics,
    guard: Guard,
    health: Health,
    replication: Callable[[], list[tuple[Family, Samples]]] = list,
) -> web.Application:
    """Return the application for the metrics port; any other path or method is a 404.

    `replication` returns the metrics of a shared store.
    """
    reports = ReportRefresh(workers)

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.raw_path.partition("?")[0] != "/metrics" or request.method not in _READING:
            return plain(404, "Not Found")
        prove(request)
        await reports.refresh()
        text = metrics.render(len(service), health.obstacle() is None, replication())
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})

    app = web.Application(middlewares=[_log_refusals], handler_args=handler_args())
    Pages(app, guard).add("/{rest:(?s:.*)}", answer)
    return app


@web.middleware
async def _log_refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    response = await handler(request)
    if REASON in response and not response.get(UNLOGGED):
        log.warning("%d %s %s", response.status, request.method, response[REASON])
    return response


_READING = ("GET", "HEAD")
