"""SQLite's errors, each as one line for the person who has to fix it."""

import sqlite3
from pathlib import Path

from hubgate.errors import StoreError, StoreInUseError, StoreUnavailableError

# https://www.sqlite.org/rescode.html: the low byte is the primary code.
_PRIMARY = 0xFF

_WORDS: dict[int, tuple[type[StoreError], str]] = {
    sqlite3.SQLITE_BUSY: (
        StoreInUseError,
        "is in use by another process, perhaps another hubgate; stop it, or name another file",
    ),
    sqlite3.SQLITE_FULL: (StoreUnavailableError, "cannot grow: the disk is full; free some space"),
    sqlite3.SQLITE_READONLY: (
        StoreUnavailableError,
        "is read-only; make it and its folder writable",
    ),
    sqlite3.SQLITE_IOERR: (
        StoreUnavailableError,
        "cannot be read or written ({error}); check the disk",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        StoreUnavailableError,
        "cannot be opened; its folder must exist and be writable too",
    ),
    sqlite3.SQLITE_NOTADB: (
        StoreError,
        "is not an SQLite database, or is badly damaged; name another file or move it away",
    ),
    sqlite3.SQLITE_CORRUPT: (
        StoreError,
        "is damaged ({error}); put a backup in its place, or move it away to start with no routes",
    ),
}
_WORDS[sqlite3.SQLITE_LOCKED] = _WORDS[sqlite3.SQLITE_BUSY]
_WORDS[sqlite3.SQLITE_PERM] = _WORDS[sqlite3.SQLITE_READONLY]


def store_error(path: Path, error: sqlite3.Error) -> StoreError:
    """Return `error`, raised for the file at `path`, as one of ours."""
    code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY
    kind, words = _WORDS.get(code, (StoreError, "cannot be used: {error}"))
    return kind(f"store: {path} {words.format(error=error)}")


def damaged(path: Path, what: str) -> StoreError:
    """Return the error for a file that SQLite can read and we cannot."""
    _, words = _WORDS[sqlite3.SQLITE_CORRUPT]
    return StoreError(f"store: {path} {words.format(error=what)}")


def no_file(path: Path, error: OSError) -> StoreError:
    """Return the error for a file that cannot be opened at all."""
    why = error.strerror or str(error)
    return StoreError(f"store: {path}: {why}; name a file in a writable folder")


def in_use(path: Path) -> StoreError:
    """Return the error for a file that another process has locked."""
    kind, words = _WORDS[sqlite3.SQLITE_BUSY]
    return kind(f"store: {path} {words}")


def read_only(path: Path) -> StoreError:
    """Return the error for a file in a folder where SQLite cannot create others beside it."""
    kind, words = _WORDS[sqlite3.SQLITE_READONLY]
    return kind(f"store: {path} {words}")
