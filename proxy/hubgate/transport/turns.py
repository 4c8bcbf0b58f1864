"""Whose turn it is: work that others' bytes cause is done in small pieces, one connection's a turn.

A connection whose peer has sent much does a little of it at once and queues for the rest. In each
turn of the event loop the queue is served for a bounded time, however long it is, so that whoever
asks for little waits for a few such turns at most.
"""

import asyncio
from collections.abc import Callable
from time import perf_counter

# What one connection may do before it queues, in seconds.
TURN = 0.0002
# How long the queue is served in one turn of the loop, in seconds.
_TOGETHER = 0.001


class Turns:
    """The queue of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        # In order; a dictionary, because each is in it once.
        self._queue: dict[Callable[[], None], None] = {}
        self._scheduled = False

    def __repr__(self) -> str:
        return f"<Turns {len(self._queue)} waiting>"

    def wait(self, go_on: Callable[[], None]) -> None:
        """Call `go_on` when it is its turn: once, even if it waits already."""
        self._queue[go_on] = None
        self._schedule()

    def waits(self, go_on: Callable[[], None]) -> bool:
        """Return whether `go_on` is in the queue."""
        return go_on in self._queue

    def _schedule(self) -> None:
        if self._queue and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._serve)

    def _serve(self) -> None:
        end = perf_counter() + _TOGETHER
        try:
            # Whoever queues again meanwhile waits for the loop's next turn.
            for _ in range(len(self._queue)):
                go_on = next(iter(self._queue))
                del self._queue[go_on]
                go_on()
                if perf_counter() > end:
                    break
        finally:
            self._scheduled = False
            self._schedule()
