"""What hubgate would do with these settings, in a few lines."""

from collections.abc import Iterator

from hubgate.model import Address, Route
from hubgate.redis_address import shown_store
from hubgate.settings import Settings
from hubgate.settings.exposure import is_guarded

_SHOWN = 20


def summary(settings: Settings) -> Iterator[str]:
    """Yield lines that say where hubgate would listen, keep its routes and send requests."""
    scheme = "https" if settings.worker.tls else "http"
    workers = "1 worker" if settings.workers == 1 else f"{settings.workers} workers"
    yield f"proxy    {_places(settings.listen, scheme)}, {workers}"
    if settings.redirect:
        port = settings.worker.redirect_to
        yield f"redirect {_places(settings.redirect, 'http')} to https on port {port}"
    guard = "guarded" if is_guarded(settings) else "open to every user of this machine"
    yield f"api      {_places(settings.api, 'https' if settings.api_tls else 'http')}, {guard}"
    if settings.api_token_file:
        yield f"token    {settings.api_token_file}"
    for each in settings.api_tokens:
        yield f"token    {each.file} of {each.name}, for {each.scope}"
    if settings.metrics:
        yield f"metrics  {_places(settings.metrics, 'http')}"
    if settings.health:
        yield f"health   {_places(settings.health, 'http')}"
    if log := settings.worker.access_log:
        yield f"requests {log.path}, as {log.format}"
    own = settings.own_store and settings.store != "memory:"
    yield f"store    {shown_store(settings.store)}{', as nobody named another' if own else ''}"
    if settings.config_file is None and not settings.file_routes:
        yield "routes   those of the API; no file was read"
    else:
        yield from _routes(settings.file_routes)


def _places(addresses: tuple[Address, ...], scheme: str) -> str:
    return ", ".join(f"{scheme}://{_shown(address)}" for address in addresses)


def _shown(address: Address) -> str:
    # Port 0 is the kernel's choice; the log of a start says which one it was.
    chosen = address.path is None and not address.port
    return f"{str(address).removesuffix(':0')} (a free port)" if chosen else str(address)


def _routes(routes: tuple[Route, ...]) -> Iterator[str]:
    yield f"routes   {len(routes)} in the file"
    for route in routes[:_SHOWN]:
        yield f"         {route.key} -> {route.target}"
    if len(routes) > _SHOWN:
        yield f"         and {len(routes) - _SHOWN} more"
