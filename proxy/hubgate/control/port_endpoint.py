"""One of the supervisor's ports: an application with the limits of every port, and its counters."""

import asyncio
from collections.abc import Sequence

from aiohttp import web

from hubgate.control.listening.sockets import Listener
from hubgate.control.metrics.totals import Metrics
from hubgate.control.web.endpoint import Endpoint
from hubgate.model import ServerTLS
from hubgate.settings import Settings
from hubgate.transport.admission import Admission, PortLimits
from hubgate.transport.descriptors import control_share, files_allowed, files_open


def build_endpoint(
    settings: Settings,
    metrics: Metrics,
    port: str,
    app: web.Application,
    listeners: Sequence[Listener],
    tls: ServerTLS | None = None,
) -> Endpoint:
    """Return the endpoint of `app` on these listeners; `port` is its name in log and metrics."""

    def refused(name: str) -> None:
        metrics.count(f"hubgate_connections_refused_total:{name.lower()}")

    def cleartext(name: str) -> None:
        metrics.count(f"hubgate_cleartext_connections_total:{name.lower()}")

    clock = asyncio.get_running_loop().time
    admission = Admission(port, PortLimits(), clock, refused, cleartext)
    ports = 2 + bool(settings.health)
    files = control_share(files_allowed(), files_open(), settings.workers, ports)
    endpoint = Endpoint(app, listeners, tls, admission, files)
    endpoint.apply(settings.worker)
    return endpoint
