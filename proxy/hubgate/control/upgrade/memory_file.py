"""A file without a name, for what one release hands to the next: no other user can open it."""

import os
import tempfile
from contextlib import suppress
from typing import IO

from hubgate.errors import UpgradeError


def memory_file(what: str) -> IO[bytes]:
    """Return an empty file in memory, or on the disk where the system allows none in memory.

    Raises UpgradeError where there is no room for either.
    """
    if hasattr(os, "memfd_create"):
        with suppress(OSError):  # forbidden in some containers
            return os.fdopen(os.memfd_create(f"hubgate {what}"), "w+b")
    try:
        return tempfile.TemporaryFile()
    except OSError as error:
        reason = error.strerror or str(error)
        raise UpgradeError(f"no temporary file for the {what}: {reason}; set TMPDIR") from error
