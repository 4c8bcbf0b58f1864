"""Reading a file that a person named: whatever it turns out to be, this ends."""

import errno
import os
import select
import stat
import time
from pathlib import Path

# Bytes; ten thousand routes are two million, and the CA certificates of a whole system less.
LARGEST = 16 * 1024 * 1024
# Seconds that whoever writes to a pipe, or types on a terminal, may take.
PATIENCE = 5.0

_PIECE = 65536


def read_file(path: str | Path, most: int = LARGEST, *, once: bool = True) -> bytes:
    """Return what the file at `path` contains. Raises OSError, whose `strerror` says why not.

    A file of more than `most` bytes is refused, a gigabyte before any of it is read. Pipes and
    devices are read as they are, so that `<(pass show token)` and /dev/null will do, unless
    somebody reads them again later: then give `once=False`.
    """
    # O_NONBLOCK: the other end of a pipe may never come, nor end.
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except ValueError:
        raise _unfit(errno.EINVAL, "its name contains a NUL character", path) from None
    try:
        found = os.fstat(fd)
        if stat.S_ISDIR(found.st_mode):
            raise _unfit(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not once and not stat.S_ISREG(found.st_mode):
            raise _unfit(errno.EINVAL, "it is a pipe or a device, not a file", path)
        if found.st_size > most:
            raise _too_large(path, most)
        deadline = time.monotonic() + PATIENCE
        # Before anybody has opened its other end, a named pipe reads as if it had ended.
        if _is_named_pipe(found) and not _has_news(fd, deadline):
            raise _unfit(errno.ETIMEDOUT, f"nobody wrote to it in {PATIENCE:g} s", path)
        return _content(fd, path, most, deadline)
    finally:
        os.close(fd)


def _is_named_pipe(found: os.stat_result) -> bool:
    if not stat.S_ISFIFO(found.st_mode):
        return False
    # One of pipe(2), as /dev/fd/63, is in a file system of the kernel's: whoever wrote may be gone.
    ends = os.pipe()
    unnamed = os.fstat(ends[0]).st_dev
    for fd in ends:
        os.close(fd)
    return found.st_dev != unnamed


def _has_news(fd: int, deadline: float) -> bool:
    """Wait until there is something to read, or the end; say whether there is in time."""
    poll = select.poll()  # select() knows no descriptors above 1023
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))


def _content(fd: int, path: str | Path, most: int, deadline: float) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while True:
        try:
            piece = os.read(fd, _PIECE)
        except BlockingIOError:
            if not _has_news(fd, deadline):
                raise _unfit(
                    errno.ETIMEDOUT, f"no end of it came in {PATIENCE:g} s", path
                ) from None
            continue
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
        size += len(piece)
        if size > most:
            raise _too_large(path, most)


def _too_large(path: str | Path, most: int) -> OSError:
    size = f"{most >> 20} MiB" if most >> 20 else f"{most >> 10} KiB"
    return _unfit(errno.EFBIG, f"it is larger than {size}", path)


def _unfit(number: int, reason: str, path: str | Path) -> OSError:
    return OSError(number, reason, str(path))
