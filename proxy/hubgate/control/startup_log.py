"""Log lines with the addresses hubgate serves on."""

import logging

from hubgate.control.health import READY
from hubgate.control.listening.listeners import Listeners
from hubgate.control.routes.service import RouteService
from hubgate.errors import RouteNotFoundError
from hubgate.redis_address import shown_store
from hubgate.settings import Settings
from hubgate.store.base import RouteStore
from hubgate.store.own_file import OwnFileStore
from hubgate.store.unseen import LeftOut

log = logging.getLogger("hubgate.supervisor")


def announce(
    settings: Settings, listeners: Listeners, service: RouteService, store: RouteStore
) -> None:
    """Log every address, with the ports the kernel chose, and where the routes came from."""
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
    for listener in listeners.health:
        log.info("Serve health at http://%s%s", listener.address, READY)
    if (line := routes_line(settings, service.counts(), store)) is not None:
        log.info("%s", line)


def routes_line(settings: Settings, counts: tuple[int, int, int], store: RouteStore) -> str | None:
    """Return how many routes came from where, None where there is no file of any kind.

    `counts`: those of routes.yaml, those of the store, and those of the store that are in both.
    """
    of_file, of_store, in_both = counts
    own = store if isinstance(store, OwnFileStore) else None
    in_memory = settings.store == "memory:" or (own is not None and own.in_memory)
    if settings.config_file is None and settings.store == "memory:" and not settings.own_store:
        return None
    parts = [f"{_many(of_file)} from {settings.config_file}"] if settings.config_file else []
    if not in_memory:
        where = own.path if own is not None else shown_store(settings.store)
        both = f" ({in_both} of them also in {settings.config_file})" if in_both else ""
        parts.append(f"{of_store if parts else _many(of_store)} from {where}{both}")
    else:
        parts.append("routes of the API are kept in memory")
    left_out = own.left_out if own is not None else LeftOut()
    return ", ".join(parts) + (f"; {_left_out(left_out)}" if left_out.count else "")


def _left_out(left_out: LeftOut) -> str:
    seconds = left_out.seconds
    since = "for an unknown time" if seconds is None else f"for {seconds / 60:.0f} minutes"
    return f"left out {_many(left_out.count)} of a hub, unseen {since}: it adds its own again"


def _many(count: int) -> str:
    return f"{count} route" if count == 1 else f"{count} routes"
