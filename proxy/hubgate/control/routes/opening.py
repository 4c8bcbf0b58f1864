"""Opening the store at a start, or when a newer release takes over."""

import asyncio
import logging
from collections.abc import Mapping

from hubgate.control.handover import HandedRoutes
from hubgate.errors import StoreUnavailableError
from hubgate.model import Route
from hubgate.store.base import RouteStore

log = logging.getLogger("hubgate.routes")

PATIENCE = 5.0
"""Seconds for a shared store while an older release's workers wait for us."""


async def stored_routes(store: RouteStore, handed: HandedRoutes | None) -> list[Route]:
    """Open the store and return its routes. Raises StoreError.

    `handed` are those of the release before, None at a start. They are what is served if a shared
    store is away just now, and what it gets if it comes back with less: others' changes come once
    it is back.
    """
    if handed is not None:
        store.take_over(handed.held, handed.stored, handed.activity)
    if handed is None or not store.shared:
        await store.open()
        return await store.load()
    try:
        async with asyncio.timeout(PATIENCE):
            await store.open()
            return await store.load()
    except (StoreUnavailableError, TimeoutError) as error:
        reason = str(error) or f"no answer within {PATIENCE:.0f} s"
        log.error("the routes of the release before are served: %s", reason)
        return list(handed.stored)


def latest_of(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    """Return when routes were last active, by either of two reports (key: epoch seconds)."""
    return {**one, **{key: max(at, one.get(key, at)) for key, at in other.items()}}
