"""The one way to start a background task, its failure logged; and turns of the event loop."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger("hubgate")

# uvloop takes one turn from accepting a connection to `connection_made`, asyncio two.
_TURNS_TO_ARRIVE = 3

_running: set[asyncio.Task[Any]] = set()


def spawn(coroutine: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
    """Start `coroutine` as a task called `name` and keep it alive until it ends.

    The event loop holds only a weak reference to a task, so one that nobody else holds can
    vanish half-way. An exception that ends the task is logged, not lost.
    """
    task = asyncio.get_running_loop().create_task(coroutine, name=name)
    _running.add(task)
    task.add_done_callback(_finished)
    return task


async def arrivals() -> None:
    """Wait until the protocols of all connections that the event loop has accepted know of them.

    To be awaited when it accepts no more, before nobody is said to be there.
    """
    for _ in range(_TURNS_TO_ARRIVE):
        await asyncio.sleep(0)


def _finished(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("task %s failed: %r", task.get_name(), error, exc_info=error)
