"""Trying a store without changing it: what `open()` and `load()` would say at a start."""

import asyncio
import errno
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from hubgate.current_folder import anchored
from hubgate.errors import StoreError, StoreUnavailableError
from hubgate.folders import creation_error, folder_error
from hubgate.model import RedisLogin
from hubgate.redis_address import is_redis, parse_redis
from hubgate.store import more_packages
from hubgate.store.own_file import line_about, own_file_error
from hubgate.store.sqlite import SqliteStore
from hubgate.store.sqlite_errors import in_use, no_file, read_only
from hubgate.store.sqlite_file import BESIDE, NOT_REGULAR, exposure

# Of SQLite's lock bytes, those that every connection locks at least for reading:
# https://www.sqlite.org/src/file/src/os.h (PENDING_BYTE, SHARED_FIRST, SHARED_SIZE).
_SHARED_FIRST, _SHARED_SIZE = 0x40000002, 510

_NO_LOGIN = RedisLogin()


def try_store(address: str, own: bool = False, login: RedisLogin = _NO_LOGIN) -> list[str]:
    """Return a line for what a start with this store would warn of; nothing is created or changed.

    That another process uses it is such a line, too: a start waits for the end of that process.
    With `own`, nobody has named the store, and a start would use memory instead. `login` is for
    Redis. Raises StoreError for what would end a start, and ConfigError for missing packages.
    """
    scheme, _, path = address.partition(":")
    if is_redis(address):
        return _try_redis(address, login)
    if scheme != "sqlite":
        return []
    file = Path(anchored(path))
    return _try_own_file(file) if own else _try_file(file)


def _try_redis(address: str, login: RedisLogin) -> list[str]:
    try:
        from hubgate.store.redis.trial import try_redis
    except ImportError as error:
        raise more_packages(address, error) from None
    return asyncio.run(try_redis(parse_redis(address), login))


def _try_own_file(path: Path) -> list[str]:
    if (mistake := own_file_error(path)) is not None:
        return [line_about(mistake)]
    try:
        return _try_file(path, line_about)
    except StoreError as error:
        return [line_about(error)]


def _try_file(path: Path, said: Callable[[StoreError], str] = str) -> list[str]:
    exposed = exposure(path)
    warnings = [exposed] if exposed else []
    try:
        if not path.exists():
            if (error := creation_error(path.parent)) is not None:
                raise error
            return warnings
        if _is_locked(path):
            return [*warnings, said(in_use(path))]
    except OSError as error:
        raise no_file(path, error) from None
    # With a journal that a killed process left, SQLite needs no other file.
    if folder_error(path.parent) is not None and not path.with_name(path.name + "-wal").exists():
        raise read_only(path)
    return [*warnings, *_try_copy(path)]


def _is_locked(path: Path) -> bool:
    """Return whether another process uses the file. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(NOT_REGULAR)
        # Released again at once: a hubgate that starts in this moment tries once more.
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, _SHARED_SIZE, _SHARED_FIRST)
    except (BlockingIOError, PermissionError) as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        return True
    finally:
        os.close(descriptor)
    return False


def _try_copy(path: Path) -> list[str]:
    """Open and read a copy: SQLite brings a file up to date when it opens it.

    Return a line if there is no room for one.
    """
    with ExitStack() as stack:
        try:
            originals = {"": stack.enter_context(path.open("rb"))}
            for end in BESIDE:
                with suppress(FileNotFoundError):
                    originals[end] = stack.enter_context(Path(f"{path}{end}").open("rb"))
        except OSError as error:
            raise no_file(Path(str(error.filename)), error) from None
        try:
            folder = tempfile.TemporaryDirectory(prefix="hubgate-check-")
            copy = Path(stack.enter_context(folder), path.name)
            for end, original in originals.items():
                with open(f"{copy}{end}", "wb") as file:
                    shutil.copyfileobj(original, file)
            asyncio.run(_open_and_load(copy))
        except (OSError, StoreUnavailableError) as error:  # such as a disk that is full
            reason = error.strerror if isinstance(error, OSError) else error
            return [f"store: {path} was not tried, for want of a copy: {reason}; set TMPDIR"]
        except StoreError as error:
            raise type(error)(str(error).replace(str(copy), str(path))) from None
    return []


async def _open_and_load(path: Path) -> None:
    store = SqliteStore(str(path))
    try:
        await store.open()
        await store.load()
    finally:
        await store.close()
