"""The application of the metrics port: /metrics and nothing else."""

from aiohttp import web

from hubgate.control.metrics.exposition import CONTENT_TYPE
from hubgate.control.metrics.totals import Metrics
from hubgate.control.routes.report_refresh import ReportRefresh
from hubgate.control.routes.service import RouteService, Workers
from hubgate.control.web.connection import prove
from hubgate.control.web.protocol import handler_args
from hubgate.control.web.responses import plain


def build_metrics_app(service: RouteService, workers: Workers, metrics: Metrics) -> web.Application:
    """Return the application for the metrics port; any other path or method is a 404."""
    reports = ReportRefresh(workers)

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.raw_path.partition("?")[0] != "/metrics" or request.method not in _READING:
            return plain(404, "Not Found")
        prove(request)
        await reports.refresh()
        text = metrics.render(len(service))
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})

    app = web.Application(handler_args=handler_args())
    app.router.add_route("*", "/{rest:(?s:.*)}", answer)
    return app


_READING = ("GET", "HEAD")
