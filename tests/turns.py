"""Turns for connections that nobody else waits beside, and that have no event loop."""

from collections.abc import Callable

from hubgate.transport.turns import Turns


class AtOnce(Turns):
    """Whoever waits is served at once."""

    def __init__(self) -> None:
        self.taken = 0

    def wait(self, go_on: Callable[[], None]) -> None:
        self.taken += 1
        go_on()
