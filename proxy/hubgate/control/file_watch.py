"""Detecting that files have changed, however they are written."""

import asyncio
import logging
import math
import os
import stat
from collections.abc import Container, Iterable
from pathlib import Path

from watchfiles import awatch

log = logging.getLogger("hubgate.supervisor")

# Seconds files must be unchanged before they are read: one being written may look complete.
SETTLE = 0.2

# Seconds after which the files are checked even if the kernel reports nothing, as on NFS.
LOOK_ANYWAY = 1.0

# The kernel takes the time of a change from a clock that may be a few milliseconds behind.
CLOCK_LAG = 0.05

# Identifies a version of a file; None while there is no file.
Version = tuple[int, ...] | None
Versions = dict[Path, Version]


def versions(paths: Iterable[Path], read_since: float = math.inf) -> Versions:
    """Return the current version of each file, or the one that was read.

    Whether a file that changed after `read_since`, epoch seconds, was read before or after that
    is unknown: its version is then one that no file ever has.
    """
    return {path: _version(path, read_since - CLOCK_LAG) for path in paths}


async def files_changed(known: Versions, remade: Container[Path] = ()) -> Versions:
    """Wait until the files differ from the `known` versions; return the new ones.

    The folders are watched, not the files: editors put a new file in place of the old one,
    and Kubernetes switches a link above it. A file that disappears is logged and waited for,
    unless it is one of the `remade`: reading the settings makes a missing one anew.
    """
    folders = {path.parent for path in known}
    missed: set[Path] = set()
    try:
        async for _ in awatch(
            *folders,
            recursive=False,
            watch_filter=None,
            rust_timeout=int(LOOK_ANYWAY * 1000),
            yield_on_timeout=True,
        ):
            if (now := await _settled(known, missed, remade)) is not None:
                return now
    except (OSError, RuntimeError) as error:
        log.debug("the kernel cannot watch files (%s): checking every second", error)
    while True:
        await asyncio.sleep(LOOK_ANYWAY)
        if (now := await _settled(known, missed, remade)) is not None:
            return now


async def _settled(known: Versions, missed: set[Path], remade: Container[Path]) -> Versions | None:
    """Return the current versions once they are stable, None if they are the known ones.

    Files that have disappeared are waited for, and logged unless they are among the `missed`.
    """
    now = versions(known)
    while now != known:
        await asyncio.sleep(SETTLE)
        before, now = now, versions(known)
        if now == before:
            gone = {path for path in known if now[path] is None and known[path] is not None}
            lost = {path for path in gone if path not in remade}
            for path in lost - missed:
                log.warning("%s is gone; what was read from it stays in use until it is back", path)
            missed |= lost
            return None if lost else now
    return None


def _version(path: Path, unchanged_since: float) -> Version:
    try:
        found = os.stat(path)
    except OSError:
        return None
    # Not st_mtime: a renamed file keeps it.
    if found.st_ctime > unchanged_since:
        return ()
    # Who may read it counts as well: a token that others know is not used.
    who = stat.S_IMODE(found.st_mode), found.st_uid
    return found.st_ino, found.st_mtime_ns, found.st_size, *who
