"""The folder that relative paths start from, also once somebody has deleted it."""

import os
from contextlib import suppress

_DELETED = " (deleted)"


def current_folder() -> str:
    """Return the current folder's path, or the one it had; "" if the system does not know it.

    A path joined to "" stays relative: opening it then fails as it must, with a reason.
    """
    with suppress(OSError):
        return os.getcwd()
    # proc_pid_cwd(5): Linux remembers where it was. A path that was given at the start then still
    # means the same, should the folder be put back.
    with suppress(OSError):
        return os.readlink("/proc/self/cwd").removesuffix(_DELETED)
    return ""


def anchored(path: str) -> str:
    """Return `path` as an absolute one, without `.` and `..`."""
    return os.path.normpath(path if os.path.isabs(path) else os.path.join(current_folder(), path))
