"""Whose turn it is: work that others' bytes cause is done in small pieces, one connection's a turn.

A connection whose peer has sent much does a little of it at once and queues for the rest. In each
turn of the event loop the queue is served for a bounded time, however long it is, so that whoever
asks for little waits for a few such turns at most.
"""

import asyncio
from collections import deque
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
        self._queue: deque[Callable[[], None]] = deque()
        self._scheduled = False

    def __repr__(self) -> str:
        return f"<Turns {len(self._queue)} waiting>"

    def wait(self, go_on: Callable[[], None]) -> None:
        """Call `go_on` when it is its turn, once."""
        self._queue.append(go_on)
        self._schedule()

    def _schedule(self) -> None:
        if self._queue and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._serve)

    def _serve(self) -> None:
        end = perf_counter() + _TOGETHER
        self._scheduled = True
        try:
            # Whoever queues again meanwhile waits for the loop's next turn.
            for _ in range(len(self._queue)):
                self._queue.popleft()()
                if perf_counter() > end:
                    break
        finally:
            self._scheduled = False
            self._schedule()
