"""One file of routes: created, recognised, and claimed for this process alone."""

import grp
import os
import pwd
import sqlite3
import stat
from contextlib import suppress
from pathlib import Path

from hubgate.errors import StoreError
from hubgate.store.sqlite_errors import no_file

# "HubG" in the file's header identifies our files.
APPLICATION_ID = 0x48756247
SCHEMA_VERSION = 1

BESIDE = ("-wal", "-shm", "-journal")
"""How the names of the files end that SQLite keeps beside one of routes."""

NOT_REGULAR = "not a regular file"

_SCHEMA = """
CREATE TABLE routes (
    key TEXT PRIMARY KEY NOT NULL,
    data TEXT NOT NULL,
    options TEXT NOT NULL,
    last_activity REAL NOT NULL
) WITHOUT ROWID
"""

# A write-ahead log costs one fsync per change, a rollback journal three.
# FULL does that fsync before a change returns: without it a power cut loses the last ones.
# EXCLUSIVE keeps the file locked until it is closed, against a second hubgate or a curious
# shell, and avoids the shared memory that network file systems do not have.
_ALONE = ("locking_mode = EXCLUSIVE", "synchronous = FULL", "fullfsync = ON")
_APPENDING = "journal_mode = WAL"


def open_file(path: Path) -> sqlite3.Connection:
    """Return a connection to the routes in `path`, locked for us until it is closed.

    A missing file is created, and its folders too, for this user only. Raises StoreError, and
    sqlite3.Error for what SQLite refuses.
    """
    try:
        _make(path)
    except OSError as error:
        raise no_file(path, error) from error
    connection = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        _claim(path, connection)
    except BaseException:
        connection.close()
        raise
    return connection


def file_identity(path: Path) -> tuple[int, int] | None:
    """Return what identifies the file at `path`; None when there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def exposure(path: Path) -> str | None:
    """Return a line if other users can change the routes in `path`, None if only we and root can.

    They can with the file, with one of those that SQLite reads beside it, or with the folder.
    """
    beside = [path.with_name(path.name + end) for end in BESIDE]
    exposed = [str(each) for each in (path.parent, path, *beside) if _others_write(each)]
    if not exposed:
        return None
    names = " ".join(exposed)
    return (
        f"store: other users can change the routes, because they can write to {', '.join(exposed)};"
        f" it should belong to hubgate's user: chmod go-w {names}"
    )


def _others_write(path: Path) -> bool:
    try:
        found = os.stat(path)
    except OSError:
        return False
    if found.st_uid not in (0, os.geteuid()) or found.st_mode & stat.S_IWOTH:
        return True
    return bool(found.st_mode & stat.S_IWGRP) and not _is_our_own(found.st_gid)


def _is_our_own(gid: int) -> bool:
    """Return whether it is a group of one user, as most Linux systems make one for each user."""
    with suppress(KeyError):
        return pwd.getpwuid(os.geteuid()).pw_name == grp.getgrgid(gid).gr_name
    return False


def _make(path: Path) -> None:
    """Create what is missing, durably even if the power fails now. Raises OSError."""
    for folder in reversed([each for each in path.parents if not each.exists()]):
        folder.mkdir(mode=0o700, exist_ok=True)
        _settle(folder.parent)
    missing = not path.exists()
    # Before SQLite locks it: closing any descriptor of a file drops a process's locks (POSIX).
    # Opened for writing even if it exists: the system gives the best reason if that fails.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(NOT_REGULAR)
    finally:
        os.close(descriptor)
    if missing:
        _settle(path.parent)


def _settle(folder: Path) -> None:
    """Sync the entries of `folder` to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _claim(path: Path, connection: sqlite3.Connection) -> None:
    for pragma in _ALONE:
        connection.execute(f"PRAGMA {pragma}")
    # Locked before it is read: if two processes start on a new file, only one creates the table.
    connection.execute("BEGIN EXCLUSIVE")
    with connection:
        if _is_new(path, connection):
            connection.execute(_SCHEMA)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    # Only now, when the file is known to be ours: this writes to it.
    mode = connection.execute(f"PRAGMA {_APPENDING}").fetchone()[0]
    if mode != "wal":
        raise StoreError(f"store: {path} is where SQLite cannot keep a journal; name another file")


def _is_new(path: Path, connection: sqlite3.Connection) -> bool:
    """Return whether the file is still empty. Raises StoreError for one we cannot use."""
    program, version, tables = (
        connection.execute(query).fetchone()[0]
        for query in (
            "PRAGMA application_id",
            "PRAGMA user_version",
            "SELECT count(*) FROM sqlite_master",
        )
    )
    if (program, version, tables) == (0, 0, 0):
        return True
    if program != APPLICATION_ID:
        raise StoreError(f"store: {path} is another program's database; name another file")
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"store: {path} was written by a newer hubgate (its format is {version}, this one"
            f" reads {SCHEMA_VERSION}); use that one, or name another file"
        )
    return False
