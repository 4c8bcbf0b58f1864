"""The one way to start a background task, logging its failure; and turns of the event loop."""

import asyncio
import logging
import time
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger("hubgate")

# From `accept` to `connection_made` takes one turn in uvloop and two in asyncio; from a signal to
# its handler, two and three.
_TURNS_TO_ARRIVE = 4

# Seconds
_LONGEST_TURN = 0.001

_running: set[asyncio.Task[Any]] = set()


def spawn(coroutine: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
    """Start `coroutine` as a task called `name` and keep it alive until it ends.

    The event loop holds only a weak reference to a task, so one without another reference can
    disappear halfway. An exception that ends the task is logged, not lost.
    """
    task = asyncio.get_running_loop().create_task(coroutine, name=name)
    _running.add(task)
    task.add_done_callback(_finished)
    return task


async def settle_arrivals() -> None:
    """Wait until everything the event loop has received is delivered.

    That is, accepted connections to their protocols, signals to their handlers. Await it once no
    more can arrive, before concluding that there are none.
    """
    for _ in range(_TURNS_TO_ARRIVE):
        await asyncio.sleep(0)


class Pace:
    """Cuts long work into turns of the event loop: await `turn` often, between any two steps."""

    def __init__(self) -> None:
        self._begun = time.perf_counter()

    async def turn(self) -> None:
        """Let others have their turn, if ours has lasted a millisecond."""
        if time.perf_counter() - self._begun > _LONGEST_TURN:
            await asyncio.sleep(0)
            self._begun = time.perf_counter()


def _finished(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("task %s failed: %r", task.get_name(), error, exc_info=error)
