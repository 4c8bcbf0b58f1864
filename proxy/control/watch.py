"""Noticing that a file has changed, however it is written."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from watchfiles import awatch

log = logging.getLogger("hubgate.supervisor")

# Seconds a file must rest before it is read: one that is being written may look whole.
SETTLE = 0.2

# Milliseconds after which the file is looked at even if the kernel has told nothing, as on NFS.
LOOK_ANYWAY = 1000

Version = tuple[int, ...] | None


def version(path: Path) -> Version:
    """Return what differs between two versions of the file; None while there is no file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


async def watch_file(path: Path, known: Version, on_change: Callable[[], Awaitable[None]]) -> None:
    """Call `on_change` when the file at `path` is no longer the `known` version, and so on.

    The folder is watched and not the file: editors put a new file in place of the old one, and
    Kubernetes turns a link above it. Runs until cancelled.
    """
    try:
        async for _ in awatch(
            path.parent,
            recursive=False,
            watch_filter=None,
            rust_timeout=LOOK_ANYWAY,
            yield_on_timeout=True,
        ):
            now = await _settled(path) if version(path) != known else known
            if now is not None and now != known:
                known = now
                await on_change()
    except (OSError, RuntimeError) as error:
        log.warning("%s: not watched for changes (%s); send SIGHUP after a change", path, error)


async def _settled(path: Path) -> Version:
    now = version(path)
    while True:
        await asyncio.sleep(SETTLE)
        before, now = now, version(path)
        if now == before:
            return now
