"""The one way to start a background task, logging its failure; and turns of the event loop."""

import asyncio
import gc
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

log = logging.getLogger("hubgate")

# From `accept` to `connection_made` takes one turn in uvloop and two in asyncio; from a signal to
# its handler, two and three.
_TURNS_TO_ARRIVE = 4

# Seconds
_LONGEST_TURN = 0.0005

STRIDE = 16
"""Steps of some microseconds that need no look at the clock between them."""

# One for each block of no_collections.
_making: list[None] = []

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


async def keep_on(work: Callable[[], Awaitable[None]], name: str, pause: float) -> None:
    """Do work that never ends by itself; `pause` seconds after a failure, which is logged, again.

    Without it, one fault would end for good what everybody relies on.
    """
    while True:
        try:
            await work()
        except Exception as error:
            log.error("task %s failed: %r; again in %g s", name, error, pause, exc_info=error)
        await asyncio.sleep(pause)


async def settle_arrivals() -> None:
    """Wait until everything the event loop has received is delivered.

    That is, accepted connections to their protocols, signals to their handlers. Await it once no
    more can arrive, before concluding that there are none.
    """
    for _ in range(_TURNS_TO_ARRIVE):
        await asyncio.sleep(0)


class Pace:
    """Cuts long work into turns of the event loop: await `turn` often, between any two steps.

    Some of the work is freeing many objects: that is what `empty` is for.
    """

    def __init__(self) -> None:
        self._begun = time.perf_counter()

    async def turn(self) -> None:
        """Let others have their turn, if ours has lasted half a millisecond."""
        if time.perf_counter() - self._begun > _LONGEST_TURN:
            await asyncio.sleep(0)
            self._begun = time.perf_counter()

    async def empty(self, items: MutableMapping[Any, Any]) -> None:
        """Remove all items, step by step."""
        while items:
            items.popitem()
            await self.turn()


@contextmanager
def no_collections() -> Iterator[None]:
    """Let Python look for no garbage while 100,000 objects are made that will stay.

    It would look at all of them again and again, and nothing else could run meanwhile. They are
    not looked at later, either.
    """
    _making.append(None)
    gc.disable()
    try:
        yield
    finally:
        _making.pop()
        if not _making:
            gc.freeze()
            gc.enable()


def _finished(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("task %s failed: %r", task.get_name(), error, exc_info=error)
