"""The file behind the access log: it takes blocks of whole lines, and no request waits for it."""

import errno
import logging
import os

from hubgate.errors import ConfigError
from hubgate.model import STDOUT
from hubgate.output.line_writer import LineWriter

log = logging.getLogger("hubgate")

# Bytes that may wait to be written; anything beyond is dropped.
MOST_WAITING = 1 << 22

# In place of a descriptor, where there is none yet.
_NONE = -1

_HOW = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_MODE = 0o640


class LogFile(LineWriter):
    """Appends to a file, or to standard output, in its own thread.

    A file that was renamed or removed is created again before the next block is written. Several
    processes may share one: lines stay whole, unless its disk is full or on a network (NFS).
    Raises ConfigError if it cannot be opened and is `required`; otherwise lines are lost until it
    can.
    """

    def __init__(self, path: str, *, required: bool = True) -> None:
        self._path = path
        self._failing = self._astray = False
        self._identity = -1, -1
        super().__init__("access log", self._first(required), MOST_WAITING)
        self.start()

    def __repr__(self) -> str:
        return f"<LogFile {self._path} {self._waiting} bytes wait>"

    def put(self, block: bytes) -> None:
        """Queue whole lines to be written; b"" only checks that the file is still in place."""
        super().put(block)

    def _before(self) -> None:
        if self._path != STDOUT or self._fd == _NONE:
            self._follow()

    def _let_go(self) -> None:
        self._close(self._fd)

    def _close(self, fd: int) -> None:
        if fd != _NONE:
            os.close(fd)

    def _first(self, required: bool) -> int:
        """Return a descriptor to begin with, or none yet."""
        try:
            return self._open()
        except ConfigError as error:
            if required:
                raise
            log.error("%s; lines are lost until it can", error)
            self._failing = self._astray = True
            return _NONE

    def _write_to(self, fd: int) -> None:
        if fd == _NONE:
            self._fd, self._at_once = fd, 0
        else:
            super()._write_to(fd)

    def _write_some(self, block: bytes, start: int) -> int:
        if self._fd == _NONE:
            raise OSError(errno.EBADF, "it cannot be opened")
        return super()._write_some(block, start)

    def _open(self) -> int:
        try:
            # A duplicate: closing it leaves standard output open.
            fd = os.dup(1) if self._path == STDOUT else _open_file(self._path)
        except OSError as error:
            name = "standard output" if self._path == STDOUT else self._path
            raise ConfigError(f"access_log: {name}: cannot be opened: {error.strerror}") from None
        found = os.fstat(fd)
        self._identity = found.st_dev, found.st_ino
        return fd

    def _follow(self) -> None:
        """Reopen the file if another one, or none, has its name now."""
        try:
            found = os.stat(self._path)
            if (found.st_dev, found.st_ino) == self._identity:
                self._astray = False
                return
        except OSError:
            pass  # no file has it
        old = self._fd
        try:
            self._write_to(self._open())
        except ConfigError as error:
            if not self._astray:
                log.error("%s; lines still go to the file that had this name before", error)
            self._astray = True
        else:
            self._astray = False
            self._close(old)

    def _failed(self, error: OSError) -> None:
        if not self._failing:
            self._failing = True
            log.error("access log %s: lines are lost: %s", self._path, error.strerror)

    def _wrote(self) -> None:
        if self._failing:
            self._failing = False
            log.warning("access log %s: writing again", self._path)


def _open_file(path: str) -> int:
    """Open or create a file to append to; raises OSError.

    A link is followed only if it is ours or root's, as the kernel does in folders like /tmp unless
    told otherwise (fs.protected_symlinks): another user's could lead to any file.
    """
    try:
        return os.open(path, _HOW | os.O_NOFOLLOW, _MODE)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
    if os.lstat(path).st_uid not in (0, os.geteuid()):
        raise OSError(errno.EPERM, "it is another user's link; remove it or give another path")
    return os.open(path, _HOW, _MODE)
