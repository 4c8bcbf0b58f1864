"""A folder of ours alone, and files in it that nobody else can have put there."""

import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

# No link is followed, and a FIFO does not make us wait for its writer.
_CAREFULLY = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK

Identity = tuple[int, int]


class PrivateFolder:
    """A folder that only our user can enter, held open: what happens to its path is no matter."""

    def __init__(self, path: Path) -> None:
        """Open the folder, made first if there is none. Raises OSError."""
        self.path = path
        _make(path)
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            found = os.fstat(self._fd)
            if found.st_uid != os.geteuid():
                raise OSError(errno.EPERM, "belongs to another user")
            if stat.S_IMODE(found.st_mode) & 0o077:
                os.fchmod(self._fd, 0o700)
        except OSError:
            os.close(self._fd)
            raise

    def __repr__(self) -> str:
        return f"<PrivateFolder {self.path}>"

    def close(self) -> None:
        """Let go of the folder."""
        os.close(self._fd)

    def create(self, name: str) -> int:
        """Create a file that was not there, for our user only; return its descriptor."""
        how = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | _CAREFULLY
        return os.open(name, how, 0o600, dir_fd=self._fd)

    def open(self, name: str) -> int | None:
        """Return a descriptor of a file to read, None if there is none.

        Raises OSError for anything but a file that our user alone can have written.
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

    def rename(self, name: str, new_name: str) -> None:
        """Put a file in the place of another, whatever stands there."""
        os.rename(name, new_name, src_dir_fd=self._fd, dst_dir_fd=self._fd)

    def remove(self, name: str) -> None:
        """Remove a file; none is no error."""
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._fd)

    def identity(self, name: str) -> Identity | None:
        """Return what tells the file from one that takes its place; None if there is none."""
        with suppress(FileNotFoundError):
            return identity(os.stat(name, dir_fd=self._fd, follow_symlinks=False))
        return None

    def older_than(self, seconds: float) -> Iterator[str]:
        """Yield the names of files that were not written to for so long."""
        limit = time.time() - seconds
        for name in os.listdir(self._fd):
            with suppress(FileNotFoundError):
                found = os.stat(name, dir_fd=self._fd, follow_symlinks=False)
                if stat.S_ISREG(found.st_mode) and found.st_mtime < limit:
                    yield name


def identity(found: os.stat_result) -> Identity:
    """Return what tells an open file from any other that is there now."""
    return found.st_dev, found.st_ino


def _require_private(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "is no regular file")
    if found.st_uid != os.geteuid():
        raise OSError(errno.EPERM, "belongs to another user")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise OSError(errno.EPERM, "is open to other users")
    if found.st_nlink > 1:
        raise OSError(errno.EPERM, "has a second name")


def _make(path: Path) -> None:
    # One by one: the umask a hub gives its proxy would open the folders above to a group.
    for folder in reversed([path, *path.parents]):
        if not folder.exists():
            folder.mkdir(0o700, exist_ok=True)
