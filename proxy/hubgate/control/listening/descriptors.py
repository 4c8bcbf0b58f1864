"""How many files, and so connections, this process and its workers may have open."""

import logging
import resource
import sys
from contextlib import suppress

log = logging.getLogger("hubgate.supervisor")

# macOS calls its limit infinite, but refuses more than this.
MACOS_LIMIT = 10240


def raise_descriptor_limit() -> None:
    """Allow as many open files as the system lets us, as Node does; workers inherit it.

    The usual soft limit of 1024 is there for programs that use select(), and is used up by a
    few hundred open notebooks.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MACOS_LIMIT if sys.platform == "darwin" else hard
    if soft == wanted:
        return
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        log.debug("limit of open files: %d, was %d", wanted, soft)
