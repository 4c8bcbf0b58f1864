"""Waiting with a deadline instead of sleeping and hoping."""

import time
from collections.abc import Callable


def eventually(condition: Callable[[], bool], seconds: float = 15.0) -> bool:
    """Return whether `condition` comes to hold within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def settled(look: Callable[[], int], seconds: float = 0.5) -> int:
    """Return what `look` returns once that has been the same for so many seconds."""
    found, since = look(), time.monotonic()
    while time.monotonic() < since + seconds:
        time.sleep(0.02)
        if (now := look()) != found:
            found, since = now, time.monotonic()
    return found
