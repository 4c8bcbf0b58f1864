"""The limit on open files, and so connections, of this process and its workers."""

import logging
import resource
import sys
from contextlib import suppress

log = logging.getLogger("hubgate.supervisor")

# macOS reports an infinite limit, but refuses more than this.
MACOS_LIMIT = 10240


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
