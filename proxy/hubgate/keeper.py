"""Listening sockets that outlive the proxy: the hub that starts it keeps them for the next one.

The proxy opens its sockets itself, according to its settings, and lends them to the keeper;
while no proxy accepts on them, connections wait. The next proxy gets them before it opens any.
Both sides are here. They connect over a unix socket, so that it does not matter how the process
was started in between; a proxy without this feature opens its sockets as usual.
"""

import asyncio
import os
import shutil
import socket
import stat
import sys
import tempfile
import time
import weakref
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from hubgate.errors import ConfigError
from hubgate.output.standard_streams import open_closed_streams

# Environment variable of the proxy: the path of its keeper's socket.
VARIABLE = "HUBGATE_KEEPER"

# The kernel's limit for one message (SCM_MAX_FD); only as many workers need that many sockets.
MAX_DESCRIPTORS = 253
MESSAGE = b"."
TIMEOUT = 10.0  # seconds

# Where a keeper's socket is, in the folder for temporary files.
_PREFIX, _SOCKET = "hubgate-", "keeper.sock"
# Seconds; a keeper needs far less time than this to listen on its socket.
_NEW = 60.0

# Without it, a fork between two calls would leak a descriptor to another program.
CLOSE_ON_EXEC = socket.MSG_CMSG_CLOEXEC if sys.platform == "linux" else 0


class Keeper:
    """The long-lived side. It needs a running event loop from `open` to `close`."""

    def __init__(self) -> None:
        self.path: str | None = None
        self._kept: list[int] = []
        self._listener: socket.socket | None = None
        self._clients: set[socket.socket] = set()
        self._remove_folder: weakref.finalize[..., Keeper] | None = None

    def __repr__(self) -> str:
        return f"<Keeper {self.path} sockets={len(self._kept)}>"

    @property
    def keeps(self) -> bool:
        """Whether there are sockets for the next proxy."""
        return bool(self._kept)

    def open(self) -> str:
        """Listen for proxies; return the socket's path. Raises OSError if that is impossible."""
        if self.path is not None:
            return self.path
        open_closed_streams()  # a hub may be started as a daemon, too
        _remove_abandoned()
        folder = tempfile.mkdtemp(prefix=_PREFIX)  # for this user alone
        self._remove_folder = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.setblocking(False)
        self._listener.bind(str(Path(folder, _SOCKET)))
        self._listener.listen()
        asyncio.get_running_loop().add_reader(self._listener, self._accept)
        self.path = self._listener.getsockname()
        return self.path

    def release(self) -> None:
        """Close the kept sockets; connections waiting on one that no proxy has are reset."""
        kept, self._kept = self._kept, []
        _close(kept)

    def close(self) -> None:
        """Close everything and stop listening."""
        self.release()
        for client in list(self._clients):
            self._disconnect(client)
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
        if self._remove_folder is not None:
            self._remove_folder()
        self.path = self._listener = self._remove_folder = None

    def _accept(self) -> None:
        assert self._listener is not None
        with suppress(OSError):
            client, _ = self._listener.accept()
            client.setblocking(False)
            self._clients.add(client)
            asyncio.get_running_loop().add_reader(client, self._take, client)
            socket.send_fds(client, [MESSAGE], self._kept)

    def _take(self, client: socket.socket) -> None:
        with suppress(OSError):
            message, fds = _receive(client)
            if message:
                self._kept, earlier = fds, self._kept
                _close(earlier)
        self._disconnect(client)

    def _disconnect(self, client: socket.socket) -> None:
        asyncio.get_running_loop().remove_reader(client)
        self._clients.discard(client)
        client.close()


def _remove_abandoned() -> None:
    """Remove the folders of this user's keepers that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            found = folder.lstat()
            mine = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
            # In either direction: the clock may have been ahead when it was made.
            old = abs(time.time() - found.st_mtime) > _NEW
            if mine and old and not _listens(folder / _SOCKET):
                (folder / _SOCKET).unlink()
                folder.rmdir()


def _listens(path: Path) -> bool:
    """Return whether a keeper listens there; raises OSError if there never was one."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(TIMEOUT)
        try:
            client.connect(str(path))
        except ConnectionRefusedError:
            return False
        return True


class KeeperClient:
    """The proxy's side: a connection to its keeper, for one exchange."""

    def __init__(self, connection: socket.socket, fds: list[int]) -> None:
        self._fds = fds
        self._connection = connection

    @classmethod
    def connect(cls, environ: Mapping[str, str]) -> "KeeperClient | None":
        """Get the sockets the keeper has; None if there is no keeper, or no longer one.

        Raises ConfigError when it does not answer.
        """
        path = environ.get(VARIABLE)
        if not path:
            return None
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(TIMEOUT)
        try:
            connection.connect(path)
        except OSError:  # the hub is gone; its proxy keeps running
            connection.close()
            return None
        try:
            _, fds = _receive(connection)
        except OSError as error:
            connection.close()
            raise ConfigError(
                f"{VARIABLE}: {path}: the hub did not hand over its sockets: {error}; "
                "restart the hub"
            ) from error
        return cls(connection, fds)

    def take(self) -> list[int]:
        """Return the kept descriptors; the caller owns them now."""
        fds, self._fds = self._fds, []
        return fds

    def lend(self, fds: Iterable[int]) -> None:
        """Replace the sockets the keeper holds with these, and end the exchange."""
        _close(self.take())
        with suppress(OSError), self._connection:
            socket.send_fds(self._connection, [MESSAGE], list(fds)[:MAX_DESCRIPTORS])


def _receive(connection: socket.socket) -> tuple[bytes, list[int]]:
    message, fds, _, _ = socket.recv_fds(connection, len(MESSAGE), MAX_DESCRIPTORS, CLOSE_ON_EXEC)
    for fd in fds:
        os.set_inheritable(fd, False)
    return message, fds


def _close(fds: Iterable[int]) -> None:
    for fd in fds:
        os.close(fd)
