"""Listening on unix sockets, whose files outlive the process that created them."""

import errno
import os
import socket
import stat
from contextlib import suppress

from hubgate.errors import ConfigError
from hubgate.folders import folder_error

# Connections that arrive while a worker is replaced wait here; the kernel may allow fewer.
BACKLOG = 4096


def unix_listener(path: str) -> socket.socket:
    """Listen on `path`, replacing a file that a dead process left there.

    The file's permissions follow the umask. Raises ConfigError when the path is not available.
    """
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.bind(path)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise _unavailable(path, error) from error
    return sock


def check_socket(path: str) -> None:
    """Raise the ConfigError that listening on `path` would, if its place is not one for a socket.

    Nothing is created; whether another process listens there is not looked at.
    """
    if _is_socket(path) is False:
        raise _no_socket(path)
    if (error := folder_error(os.path.dirname(path) or ".")) is not None:
        raise _unavailable(path, error)


def _unavailable(path: str, error: OSError) -> ConfigError:
    why = error.strerror or str(error)  # an error for too long a path has no strerror
    return ConfigError(
        f"cannot listen on unix:{path}: {why}; give a path in an existing, writable folder"
    )


def _no_socket(path: str) -> ConfigError:
    return ConfigError(
        f"cannot listen on unix:{path}: the file there is not a socket; "
        "give another path or remove it"
    )


def _is_socket(path: str) -> bool | None:
    """Return whether there is a socket; None if there is nothing, or nothing we may see."""
    try:
        return stat.S_ISSOCK(os.lstat(path).st_mode)
    except OSError:
        return None


def _remove_stale(path: str) -> None:
    """Remove the socket file that a dead process left; raise ConfigError for any other file."""
    is_socket = _is_socket(path)
    if is_socket is None:
        return  # bind reports what is wrong
    if not is_socket:
        raise _no_socket(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        if probe.connect_ex(path) != errno.ECONNREFUSED:
            raise ConfigError(
                f"cannot listen on unix:{path}: the socket is in use by another process; "
                "give another path or stop it"
            )
    with suppress(OSError):
        os.unlink(path)


def file_identity(path: str) -> tuple[int, ...] | None:
    """Return what identifies the file at `path`; None when there is none."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    # With the time: a file system may reuse a removed file's inode number.
    return found.st_dev, found.st_ino, found.st_mtime_ns
