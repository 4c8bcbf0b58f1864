"""The limit on open files, and so connections, of this process and its workers."""

import logging
import resource
import sys
from contextlib import suppress

from hubgate.errors import ConfigError

log = logging.getLogger("hubgate.supervisor")

# macOS reports an infinite limit, but refuses more than this.
MACOS_LIMIT = 10240

# What a start takes, with a little to spare: its loop aborts without a word if it gets too few.
_FEWEST, _PER_WORKER = 24, 8


def raise_descriptor_limit() -> None:
    """Raise the limit on open files as far as the system allows, as Node does; workers inherit it.

    The usual soft limit of 1024 exists for programs that use select(); a few hundred open
    notebooks use it up.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MACOS_LIMIT if sys.platform == "darwin" else hard
    if soft == wanted:
        return
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        log.debug("open file limit: %d, was %d", wanted, soft)


def check_descriptor_limit(workers: int) -> None:
    """Raise ConfigError if too few files may be open to start with so many workers."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = _FEWEST + workers * _PER_WORKER
    if allowed != resource.RLIM_INFINITY and allowed < needed:
        raise ConfigError(
            f"open files: {allowed} are allowed, and {needed} are needed to start; raise the limit"
            " (ulimit -n, or LimitNOFILE= of a systemd unit)"
        )
