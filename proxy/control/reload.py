"""Taking over a changed routes.yaml while everything runs."""

import asyncio
import dataclasses
import logging
from collections.abc import Callable, Iterator
from typing import Any

from proxy.control.routes import RouteService
from proxy.errors import ConfigError
from proxy.settings import Settings

log = logging.getLogger("hubgate.supervisor")

# What a reload takes over, or what no longer matters once hubgate runs.
NO_RESTART_NEEDED = ("fixed_routes", "initial_routes")


class Reloader:
    """Reads the settings again and takes over the fixed routes; never raises for a bad file."""

    def __init__(
        self, running: Settings, read: Callable[[], Settings], service: RouteService
    ) -> None:
        self._running = running
        self._read = read
        self._service = service
        self._one_at_a_time = asyncio.Lock()

    async def reload(self) -> None:
        """Read and take over; on a mistake log it, and everything stays as it is."""
        async with self._one_at_a_time:
            try:
                # A large file takes seconds to read, and the API must go on meanwhile.
                fresh = await asyncio.to_thread(self._read)
                await self._service.replace_fixed(fresh.fixed_routes)
            except ConfigError as error:
                for line in error.lines:
                    log.error("not reloaded, the running routes stay: %s", line)
                return
        log.info("reloaded: %d fixed routes", len(fresh.fixed_routes))
        needing_restart = list(changed(self._running, fresh))
        if needing_restart:
            log.warning("changed, and needs a restart: %s", ", ".join(needing_restart))


def changed(old: Any, new: Any, prefix: str = "") -> Iterator[str]:
    """Yield the dotted names of the settings that differ and need a restart."""
    for field in dataclasses.fields(old):
        name = prefix + field.name
        before, after = getattr(old, field.name), getattr(new, field.name)
        if before == after or name in NO_RESTART_NEEDED:
            continue
        if dataclasses.is_dataclass(before) and type(before) is type(after):
            yield from changed(before, after, name + ".")
        else:
            yield name
