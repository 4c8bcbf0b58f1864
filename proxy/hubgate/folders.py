"""Whether a file can be created in a folder, found out without creating anything."""

import errno
import os
import stat
from pathlib import Path


def folder_error(folder: str | Path) -> OSError | None:
    """Return the error that creating a file in `folder` would end with, None if it would not."""
    try:
        mode = os.stat(folder).st_mode
    except OSError as error:
        return error
    if not stat.S_ISDIR(mode):
        return _error(errno.ENOTDIR)
    if os.access(folder, os.W_OK | os.X_OK):
        return None
    return _error(errno.EROFS if os.statvfs(folder).f_flag & os.ST_RDONLY else errno.EACCES)


def creation_error(folder: Path) -> OSError | None:
    """Return the same for a folder that will be made where it is missing."""
    for at in (folder, *folder.parents):
        error = folder_error(at)
        if not isinstance(error, FileNotFoundError) or at.is_symlink():
            return error
    return None


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
