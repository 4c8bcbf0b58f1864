"""A folder for our user alone, and files in it that no other user can have put there."""

import errno
import logging
import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from hubgate.folders import creation_error

# Follows no link, and does not wait for a FIFO's writer.
_CAREFULLY = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK

Identity = tuple[int, int]

log = logging.getLogger("hubgate")

# Others' files in it do no harm: each file is checked when it is opened.
_NARROWED = "{} was open to other users (mode {:04o}): it has mode 0700 from now on"


class PrivateFolder:
    """A folder that only our user can enter, held open: changes to its path do not matter."""

    def __init__(self, path: Path) -> None:
        """Open the folder, creating it if there is none. Raises OSError."""
        self.path = path
        _make(path)
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            found = os.fstat(self._fd)
            _require_ours(found)
            if (line := _exposure(path, found)) is not None:
                os.fchmod(self._fd, 0o700)
                log.warning("%s", line)
        except OSError:
            os.close(self._fd)
            raise

    def __repr__(self) -> str:
        return f"<PrivateFolder {self.path}>"

    def close(self) -> None:
        """Close the folder."""
        os.close(self._fd)

    def create(self, name: str) -> int:
        """Create a new file, for our user only; return its descriptor."""
        how = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | _CAREFULLY
        return os.open(name, how, 0o600, dir_fd=self._fd)

    def open(self, name: str) -> int | None:
        """Return a descriptor of a file to read, None if there is none.

        Raises OSError for anything but a file that only our user can have written.
        """
        try:
            fd = os.open(name, os.O_RDONLY | _CAREFULLY, dir_fd=self._fd)
        except FileNotFoundError:
            return None
        try:
            _require_private(os.fstat(fd))
        except OSError:
            os.close(fd)
            raise
        return fd

    def link(self, name: str, new_name: str) -> None:
        """Give a file a second name. Raises FileExistsError if that is taken, and OSError."""
        os.link(name, new_name, src_dir_fd=self._fd, dst_dir_fd=self._fd, follow_symlinks=False)

    def rename(self, name: str, new_name: str) -> None:
        """Rename a file, replacing whatever has the new name."""
        os.rename(name, new_name, src_dir_fd=self._fd, dst_dir_fd=self._fd)

    def remove(self, name: str) -> None:
        """Remove a file; a missing one is not an error."""
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._fd)

    def identity(self, name: str) -> Identity | None:
        """Return what identifies the file that has this name now; None if there is none."""
        with suppress(FileNotFoundError):
            return identity(os.stat(name, dir_fd=self._fd, follow_symlinks=False))
        return None

    def older_than(self, seconds: float) -> Iterator[str]:
        """Yield the names of files not written to for that long.

        A time that far in the future is from a clock that was ahead, and as old as one can be.
        """
        now = time.time()
        for name in os.listdir(self._fd):
            with suppress(FileNotFoundError):
                found = os.stat(name, dir_fd=self._fd, follow_symlinks=False)
                if stat.S_ISREG(found.st_mode) and abs(now - found.st_mtime) > seconds:
                    yield name


def identity(found: os.stat_result) -> Identity:
    """Return what identifies a file among all that exist now."""
    return found.st_dev, found.st_ino


def _require_ours(found: os.stat_result) -> None:
    if found.st_uid != os.geteuid():
        raise OSError(errno.EPERM, "belongs to another user")


def _require_private(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "is not a regular file")
    _require_ours(found)
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise OSError(errno.EPERM, "is open to other users")
    if found.st_nlink > 1:
        raise OSError(errno.EPERM, "has a second hard link")


def private_folder_error(path: Path) -> OSError | None:
    """Return the error that `PrivateFolder(path)` would end with; None if it would not."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return creation_error(path)
    except OSError as error:
        return error
    if not stat.S_ISDIR(found.st_mode):
        return OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if found.st_uid != os.geteuid():
        return OSError(errno.EPERM, "belongs to another user")
    return None


def private_file_error(path: Path) -> OSError | None:
    """Return why the file at `path` may be another user's, None if it is ours or not there."""
    try:
        _require_private(os.lstat(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        return error
    return None


def narrowed_later(path: Path) -> str | None:
    """Return what `PrivateFolder(path)` would warn of; None if nothing."""
    with suppress(OSError):
        return _exposure(path, os.lstat(path))
    return None


def _exposure(path: Path, found: os.stat_result) -> str | None:
    mode = stat.S_IMODE(found.st_mode)
    return _NARROWED.format(path, mode) if mode & 0o077 else None


def _make(path: Path) -> None:
    # One by one: with the umask a hub gives its proxy, a group could enter the folders above.
    for folder in reversed([path, *path.parents]):
        if not folder.exists():
            folder.mkdir(0o700, exist_ok=True)
