"""The file with the supervisor's process id, for other programs."""

import errno
import logging
import os
import re
import stat
from contextlib import suppress

from hubgate.errors import ConfigError
from hubgate.folders import folder_error

log = logging.getLogger("hubgate.supervisor")


class PidFile:
    """A context manager that keeps our process id in the file at `path`, if there is one.

    A new file is readable only by us; an existing one keeps its mode. Nothing that others can
    have put there is written to or followed: in a folder like /tmp, it could lead to any file.
    Entering raises ConfigError when the file cannot be written.
    """

    # Not a generator: if collected before it finishes, it would remove the file, which belongs
    # to the release that takes over in this process.

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._own = str(os.getpid())

    def __repr__(self) -> str:
        return f"<PidFile {self._path}>"

    def __enter__(self) -> None:
        if self._path is None:
            return
        try:
            _write(self._path, self._own.encode())
        except OSError as error:
            raise ConfigError(f"--pid-file: {_mistake(self._path, error)}") from error
        log.info("Writing pid %s to %s", self._own, self._path)

    def __exit__(self, *_: object) -> None:
        if self._path is None:
            return
        with suppress(OSError):
            # A successor may have written its own id.
            if _read(self._path).strip() == self._own.encode():
                os.unlink(self._path)


def check_pid_file(path: str | None) -> None:
    """Raise ConfigError if entering would; nothing is written.

    So that a start fails before anybody is served. It does not say where the path was given.
    """
    if path is None:
        return
    try:
        if os.path.lexists(path):
            os.close(_open_existing(path))
        elif (error := folder_error(os.path.dirname(path) or ".")) is not None:
            raise error
    except OSError as error:
        raise _mistake(path, error) from error


def _mistake(path: str, error: OSError) -> ConfigError:
    return ConfigError(
        f"{path}: {error.strerror}; "
        "give a path in an existing, writable folder, of a new file or one with a pid"
    )


# Whatever else is in a file is somebody's, and would be lost.
_PID, _LONGEST = re.compile(rb"\s*[0-9]{0,20}\s*"), 64

# Follows no link, and does not wait for the other end of a pipe.
_CAREFULLY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def _write(path: str, text: bytes) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CAREFULLY, 0o600)
    except FileExistsError:
        fd = _open_existing(path)
    try:
        # In this order: nobody finds it empty.
        os.write(fd, text)
        os.ftruncate(fd, len(text))
    finally:
        os.close(fd)


def _open_existing(path: str) -> int:
    """Open a file that is there; raises OSError unless it can only be a pid file of ours."""
    if stat.S_ISLNK(os.lstat(path).st_mode):
        raise OSError(errno.ELOOP, "is a link")
    fd = os.open(path, os.O_RDWR | _CAREFULLY)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "is not a regular file")
        if found.st_uid not in (0, os.geteuid()):
            raise OSError(errno.EPERM, "belongs to another user")
        if found.st_nlink > 1:
            raise OSError(errno.EPERM, "has a second hard link")
        # An empty one is what ends between its creation and its first line leave.
        if found.st_size > _LONGEST or not _PID.fullmatch(os.pread(fd, _LONGEST, 0)):
            raise OSError(errno.EEXIST, "is a file of something else, not of a pid")
    except OSError:
        os.close(fd)
        raise
    return fd


def _read(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | _CAREFULLY)
    try:
        return os.read(fd, _LONGEST)
    finally:
        os.close(fd)
