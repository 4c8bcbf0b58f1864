"""A file that mirrors the routes: changes are appended, and from time to time it is rewritten.

Nothing is synced to the disk. What a killed process has written is with the kernel and safe;
only a crash of the whole machine can lose it, and that ends the routes' targets too.
"""

import errno
import fcntl
import logging
import os
import secrets
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from hubgate.errors import StoreError
from hubgate.model import Route
from hubgate.store.journal_lines import (
    HEADER,
    Kept,
    activity_line,
    delete_line,
    put_line,
    read_journal,
    together,
)
from hubgate.store.private_folder import Identity, PrivateFolder, identity

log = logging.getLogger("hubgate.recovery")

# Seconds. After a while targets are gone, and other programs may have their ports.
USABLE_AGE = 600.0
# Bytes; a hundred thousand routes take a tenth of it.
_LARGEST = 512 * 1024 * 1024
# Seconds; a file this old is abandoned.
FORGOTTEN_AGE = 86400.0

SPARE = 256 * 1024
"""Bytes a file may grow beyond twice its rewritten size."""


class Journal:
    """The file at `path`, held by one process at a time. Every method may block on the disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._folder: PrivateFolder | None = None
        self._fd = -1
        self._held: Identity | None = None
        # Both as they would be in the file if it were rewritten.
        self._puts: dict[str, bytes] = {}
        self._activity: dict[str, float] = {}
        self._size = 0
        # Bytes to grow to before a rewrite; 0 when the current content is unreliable.
        self._limit = 0

    def __repr__(self) -> str:
        return f"<Journal {self.path} {'closed' if self._fd < 0 else f'{self._size} bytes'}>"

    def open(self) -> Kept:
        """Take over the file, creating it if there is none, and return its content.

        An unusable file is logged and replaced. One that can be read but not rewritten now is
        logged, held and left as it is: `behind` is then True. Raises OSError when the file is not
        available.
        """
        self._folder = PrivateFolder(self.path.parent)
        try:
            self._sweep(self._folder)
            earlier = self._earlier(self._folder)
            self._fd = -1 if earlier is None else earlier
            kept = Kept() if earlier is None else self._read(earlier)
            self._puts = {key: put_line(route) for key, route in kept.routes.items()}
            self._activity = dict(kept.activity)
            self._write_first(self._folder)
        except OSError:
            self.close()
            raise
        return kept

    @property
    def behind(self) -> bool:
        """Whether the last write failed: the file lacks changes, or could not be made ours."""
        return not self._limit

    def write(
        self, put: Iterable[Route], delete: Iterable[str], activity: Mapping[str, float]
    ) -> None:
        """Write changes, which are read as a whole. This resets the file's age, even with none.

        Raises OSError when that fails; the next call then writes everything.
        """
        if self._folder is None:
            return
        data = self._apply(put, delete, activity)
        lost = self._folder.identity(self.path.name) != self._held
        if lost or self.behind or self._size + len(data) > self._limit:
            self._write_anew(self._folder)
            return
        try:
            _write_all(self._fd, data)
            os.utime(self._fd)
        except OSError:
            self._limit = 0
            raise
        self._size += len(data)

    def remove(self) -> None:
        """Remove the file, unless another process's has taken its place, and close it."""
        if self._folder is not None and self._holds_its_name(self._folder):
            self._folder.remove(self.path.name)
        self.close()

    def close(self) -> None:
        """Close the file; it stays in place."""
        if self._fd >= 0:
            os.close(self._fd)
        if self._folder is not None:
            self._folder.close()
        self._fd, self._folder, self._held = -1, None, None

    def _earlier(self, folder: PrivateFolder) -> int | None:
        """Return a descriptor of the existing file, locked for us; None if none can be used."""
        try:
            fd = folder.open(self.path.name)
        except OSError as error:
            log.warning("%s: not used: it %s", self.path, error.strerror)
            self._held = folder.identity(self.path.name)
            return None
        if fd is not None:
            try:
                _lock(fd)
            except OSError:
                os.close(fd)
                raise
            self._held = identity(os.fstat(fd))
        return fd

    def _read(self, fd: int) -> Kept:
        found = os.fstat(fd)
        age = time.time() - found.st_mtime
        if age > USABLE_AGE:
            log.info("%s: not used: it is %d minutes old", self.path, age // 60)
            return Kept()
        if age < -USABLE_AGE:
            # The clock was ahead: how old it really is, nobody can tell.
            log.info("%s: not used: it is from the future, by the clock", self.path)
            return Kept()
        if found.st_size > _LARGEST:
            log.warning("%s: not used: it is larger than %d MiB", self.path, _LARGEST >> 20)
            return Kept()
        try:
            with os.fdopen(os.dup(fd), "rb") as file:
                return read_journal(file.read())
        except StoreError as error:
            log.warning("%s: not used: %s", self.path, error)
            return Kept()

    def _apply(
        self, put: Iterable[Route], delete: Iterable[str], activity: Mapping[str, float]
    ) -> bytes:
        lines = []
        for route in put:
            self._puts[route.key] = put_line(route)
            lines.append(self._puts[route.key])
        for key in delete:
            self._activity.pop(key, None)
            if self._puts.pop(key, None):
                lines.append(delete_line(key))
        known = {key: moment for key, moment in activity.items() if key in self._puts}
        self._activity.update(known)
        # Not worth losing routes for, if it is cut off.
        return together(lines) + (activity_line(known) if known else b"")

    def _write_first(self, folder: PrivateFolder) -> None:
        try:
            self._write_anew(folder)
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise
            log.warning(
                "%s: %s; it is kept as it is until it can be written: routes may not survive a"
                " crash",
                self.path,
                error.strerror,
            )

    def _write_anew(self, folder: PrivateFolder) -> None:
        """Replace the old file with a new one, in one step, and hold that."""
        self._limit = 0
        name = f"{self.path.name}.{secrets.token_hex(4)}"
        fd = folder.create(name)
        try:
            _lock(fd)
            data = b"".join([HEADER, *self._puts.values(), activity_line(self._activity)])
            _write_all(fd, data)
            if not self._holds_its_name(folder) and folder.identity(self.path.name) is not None:
                raise OSError(errno.EBUSY, "another process has put its own file there")
            folder.rename(name, self.path.name)
        except OSError:
            os.close(fd)
            folder.remove(name)
            raise
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._held = fd, identity(os.fstat(fd))
        self._size, self._limit = len(data), 2 * len(data) + SPARE

    def _holds_its_name(self, folder: PrivateFolder) -> bool:
        return self._held is not None and folder.identity(self.path.name) == self._held

    def _sweep(self, folder: PrivateFolder) -> None:
        for name in list(folder.older_than(FORGOTTEN_AGE)):
            if ".routes" in name and name != self.path.name:
                folder.remove(name)


def _lock(fd: int) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OSError(errno.EBUSY, "another proxy keeps its routes there") from None


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]
