"""The file behind the access log: it takes blocks of whole lines, and no request waits for it."""

import errno
import logging
import os
import select
import stat
from queue import SimpleQueue
from threading import Thread

from hubgate.dataplane.access_log.lines import LONGEST_LINE
from hubgate.errors import ConfigError
from hubgate.model import STDOUT

log = logging.getLogger("hubgate")

# Bytes that may wait to be written; anything beyond is dropped.
MOST_WAITING = 1 << 22

_HOW = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_MODE = 0o640


class LogFile:
    """Appends to a file, or to standard output, in its own thread.

    A file that was renamed or removed is created again before the next block is written. Several
    processes may share one: lines stay whole, unless its disk is full or on a network (NFS).
    Raises ConfigError if it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._open()
        self._blocks: SimpleQueue[bytes | None] = SimpleQueue()
        # Each of these is written by one thread only, so none needs a lock.
        self._put = self._put_bytes = self._refused = 0
        self._done = self._done_bytes = self._lost = 0
        self._told = 0
        self._failing = self._astray = self._torn = False
        self._thread = Thread(target=self._run, name="access log", daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        return f"<LogFile {self._path} {self._put_bytes - self._done_bytes} bytes wait>"

    # --- from the event loop ---------------------------------------------------------------

    @property
    def full(self) -> bool:
        """Whether so much is waiting that the next line would be dropped."""
        return self._put_bytes - self._done_bytes >= MOST_WAITING

    @property
    def settled(self) -> bool:
        """Whether everything that was put is written, or lost."""
        return self._put == self._done

    @property
    def closed(self) -> bool:
        """Whether the thread has ended, and the file is no longer used."""
        return not self._thread.is_alive()

    def put(self, block: bytes) -> None:
        """Queue whole lines to be written; b"" only checks that the file is still in place."""
        self._put += 1
        self._put_bytes += len(block)
        self._blocks.put(block)

    def refuse(self, lines: int) -> None:
        """Count lines that were not even put, because the file is `full`."""
        self._refused += lines

    def dropped(self) -> int:
        """Return how many lines were dropped since the last call."""
        before, self._told = self._told, self._refused + self._lost
        return self._told - before

    def close(self) -> None:
        """Write what was put, then close the file."""
        self._blocks.put(None)

    # --- in the thread ---------------------------------------------------------------------

    def _run(self) -> None:
        while (block := self._blocks.get()) is not None:
            if self._path != STDOUT:
                self._follow()
            self._write(block)
            self._done_bytes += len(block)
            self._done += 1
        os.close(self._fd)

    def _open(self) -> None:
        try:
            if self._path == STDOUT:
                # A duplicate: closing it leaves standard output open.
                self._fd = os.dup(1)
            else:
                self._fd = _open_file(self._path)
        except OSError as error:
            name = "standard output" if self._path == STDOUT else self._path
            raise ConfigError(f"access_log: {name}: cannot be opened: {error.strerror}") from None
        found = os.fstat(self._fd)
        self._identity = found.st_dev, found.st_ino
        # Anything other than a regular file takes only a short piece in one step.
        self._at_once = 0 if stat.S_ISREG(found.st_mode) else LONGEST_LINE

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
            self._open()
        except ConfigError as error:
            if not self._astray:
                log.error("%s; lines still go to the file that had this name before", error)
            self._astray = True
        else:
            self._astray = False
            os.close(old)

    def _write(self, block: bytes) -> None:
        lines, start = block.count(b"\n"), 0
        if self._torn and block:
            # Part of a line was written: it must not run into the next one.
            block = b"\n" + block
        try:
            while start < len(block):
                start += self._write_some(block, start)
        except OSError as error:
            if start:
                self._torn = block[start - 1 : start] != b"\n"
            self._lost += min(lines, block.count(b"\n", start))
            self._tell(error)
        else:
            if block:
                self._recover()

    def _write_some(self, block: bytes, start: int) -> int:
        """Write what goes in one step; return how many bytes that was."""
        if self._at_once:
            end = block.rfind(b"\n", start, start + self._at_once) + 1
            block = block[start:end] if end > start else block[start : start + self._at_once]
        elif start:
            block = block[start:]
        try:
            return os.write(self._fd, block)
        except BlockingIOError:
            poll = select.poll()
            poll.register(self._fd, select.POLLOUT)
            poll.poll()
            return 0

    def _tell(self, error: OSError) -> None:
        if not self._failing:
            self._failing = True
            log.error("access log %s: lines are lost: %s", self._path, error.strerror)

    def _recover(self) -> None:
        self._torn = False
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
