"""Worker reports fetched on demand, once for all requests at the same time."""

import asyncio
import logging
from typing import Any

from hubgate.control.routes.publishing import Workers
from hubgate.tasks import spawn

log = logging.getLogger("hubgate.api")

REFRESH_TIMEOUT = 2.0
"""Seconds to wait for reports before responding without them; the workers' own limit is 1 s."""


class ReportRefresh:
    """Brings activity and counters up to date; concurrent callers share one round of reports."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._round: asyncio.Task[Any] | None = None

    async def refresh(self) -> None:
        """Return when the workers have reported, or failed to in time; never raises."""
        if self._round is None or self._round.done():
            self._round = spawn(self._collect(), "collect reports")
        await asyncio.wait([self._round])

    async def _collect(self) -> None:
        try:
            async with asyncio.timeout(REFRESH_TIMEOUT):
                await self._workers.collect()
        except Exception as error:
            log.warning("no fresh reports from the workers: %r", error)
