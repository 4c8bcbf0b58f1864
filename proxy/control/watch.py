"""Noticing that a file has changed, however it is written."""

import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from watchfiles import awatch

log = logging.getLogger("hubgate.supervisor")

DEBOUNCE = 200  # milliseconds of quiet before a change counts, so that half-written files rest


async def watch_file(path: Path, on_change: Callable[[], Awaitable[None]]) -> None:
    """Call `on_change` after every change of the file at `path`, until cancelled.

    The folder is watched and not the file: editors put a new file in place of the old one, and
    Kubernetes turns a link above it.
    """
    seen = _signature(path)
    try:
        async for _ in awatch(
            path.parent, recursive=False, watch_filter=None, step=DEBOUNCE // 4, debounce=1000
        ):
            now = _signature(path)
            if now is not None and now != seen:
                seen = now
                await on_change()
    except (OSError, RuntimeError) as error:
        log.warning("%s: not watched for changes (%s); send SIGHUP after a change", path, error)


def _signature(path: Path) -> tuple[int, ...] | None:
    """Return what differs between two versions of the file; None while there is no file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
