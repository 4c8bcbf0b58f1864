"""Listening on unix sockets, whose files outlive the process that created them."""

import errno
import os
import socket
import stat
from contextlib import suppress

from hubgate.errors import ConfigError

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
        why = error.strerror or str(error)  # an error for too long a path has no strerror
        raise ConfigError(
            f"cannot listen on unix:{path}: {why}; give a path in an existing, writable folder"
        ) from error
    return sock


def _remove_stale(path: str) -> None:
    """Remove the socket file that a dead process left; raise ConfigError for any other file."""
    try:
        is_socket = stat.S_ISSOCK(os.lstat(path).st_mode)
    except OSError:
        return  # nothing there, or nothing we may see: bind reports that
    if not is_socket:
        raise ConfigError(
            f"cannot listen on unix:{path}: the file there is not a socket; "
            "give another path or remove it"
        )
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
