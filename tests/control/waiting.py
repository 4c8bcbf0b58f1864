"""Waiting with a deadline instead of sleeping and hoping."""

import asyncio
import time
from collections.abc import Callable

# Generous: it is reached only by what would never happen.
DEADLINE = 30.0


async def until(condition: Callable[[], object], seconds: float = DEADLINE) -> None:
    """Return as soon as `condition()` is true; fail when it is not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        await asyncio.sleep(0.01)


def gone(pid: int) -> bool:
    """Say whether the process has ended, reaped or not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
