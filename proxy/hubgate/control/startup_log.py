"""Log lines with the addresses hubgate serves on."""

import logging

from hubgate.control.listening.listeners import Listeners
from hubgate.control.routes.service import RouteService
from hubgate.errors import RouteNotFoundError
from hubgate.settings import Settings

log = logging.getLogger("hubgate.supervisor")


def announce(settings: Settings, listeners: Listeners, service: RouteService) -> None:
    """Log every address, with the ports the kernel chose."""
    scheme = "https" if settings.worker.tls else "http"
    try:
        target = service.get("/").route.target
    except RouteNotFoundError:
        target = "(no default)"
    for listener in listeners.public:
        log.info("Proxying %s://%s to %s", scheme, listener.address, target)
    for listener in listeners.redirect:
        log.info("Redirecting http://%s to https", listener.address)
    scheme = "https" if settings.api_tls else "http"
    for listener in listeners.api:
        log.info("Proxy API at %s://%s/api/routes", scheme, listener.address)
    for listener in listeners.metrics:
        log.info("Serve metrics at http://%s/metrics", listener.address)
