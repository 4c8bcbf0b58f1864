"""Changes that are made to their end."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar, cast

from hubgate.errors import HubgateError
from hubgate.tasks import spawn

T = TypeVar("T")


async def uncut(change: Coroutine[Any, Any, T]) -> T:
    """Run a change to completion even if the caller is cancelled halfway.

    A route that is in the store but never reached the workers would appear at the next restart.
    """
    outcome = await asyncio.shield(spawn(_outcome(change), "route change"))
    if isinstance(outcome, HubgateError):
        raise outcome
    return cast(T, outcome)


async def _outcome(change: Coroutine[Any, Any, T]) -> T | HubgateError:
    try:
        return await change
    except HubgateError as error:
        return error
