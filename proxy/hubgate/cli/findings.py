"""What a start says about its settings, in the words that `proxyctl check` uses as well."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter

from hubgate.certificates.checks import certificate_dates
from hubgate.redis_address import is_redis, shown_store
from hubgate.settings import Settings
from hubgate.settings.catalogue import SETTINGS
from hubgate.settings.exposure import exposure_warnings
from hubgate.settings.files import tls_sides
from hubgate.settings.recovery_path import no_own_store
from hubgate.settings.variables import service_links, unknown_variables

log = logging.getLogger("hubgate")


@dataclass(frozen=True)
class Findings:
    """What `proxyctl check` has found: the settings, if they can be read, and lines about them."""

    settings: Settings | None
    errors: tuple[str, ...]
    warnings: tuple[str, ...]


def start_warnings(settings: Settings, environ: Mapping[str, str]) -> list[str]:
    """Return a line for all that is allowed and probably not meant."""
    without_file = no_own_store(settings, environ)
    return [
        *unknown_variables(environ),
        *([without_file] if without_file else []),
        *without_effect(settings),
        *exposure_warnings(settings),
        *certificate_dates(tls_sides(settings)),
    ]


def without_effect(settings: Settings) -> Iterator[str]:
    """Yield a line if there are settings for a shared store, and the store is another one."""
    if is_redis(settings.store):
        return
    ours, defaults = settings, Settings()
    names = [
        each.key or each.variables[0]
        for each in SETTINGS
        if each.becomes.startswith(("redis.", "replicas."))
        and attrgetter(each.becomes)(ours) != attrgetter(each.becomes)(defaults)
    ]
    if names:
        store = (
            "nobody named a store" if ours.own_store else f"the store is {shown_store(ours.store)}"
        )
        yield f"{', '.join(names)}: without effect, as {store}; write store: redis://HOST:PORT/0"


def start_notes(environ: Mapping[str, str]) -> list[str]:
    """Return a line for all that is good to know."""
    return service_links(environ)


def log_findings(settings: Settings, environ: Mapping[str, str]) -> None:
    """Log all of it."""
    for note in start_notes(environ):
        log.info("%s", note)
    for warning in start_warnings(settings, environ):
        log.warning("%s", warning)
