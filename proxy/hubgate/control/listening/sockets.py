"""Opening listening sockets, all of them before anything else starts."""

import errno
import os
import socket
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from hubgate.control.listening.unix_sockets import BACKLOG, file_identity, unix_listener
from hubgate.errors import ConfigError
from hubgate.model import Address

__all__ = ["BACKLOG", "Listener", "close_all", "listen", "listen_for_workers"]

# Other kernels give every connection to the socket opened last; a shared one is better there.
BALANCES_REUSED_PORTS = sys.platform == "linux"

# All interfaces: one socket for both families, as in Node, else IPv4 alone.
EVERYWHERE = ("", "::")

SocketAddress = tuple[Any, ...]
Resolved = tuple[socket.AddressFamily, SocketAddress]


class Listener:
    """The sockets that listen on one address: one per worker, or one shared by all."""

    def __init__(
        self, address: Address, sockets: Sequence[socket.socket], *, borrowed: bool = False
    ) -> None:
        self.sockets = tuple(sockets)
        self.address = _actual(address, self.sockets[0])
        # Opened by another process that keeps it open: its file is not ours to remove.
        self.borrowed = borrowed
        self._file = None if address.path is None or borrowed else file_identity(address.path)

    def __repr__(self) -> str:
        return f"<Listener {self.address} sockets={len(self.sockets)}>"

    def of_worker(self, index: int) -> socket.socket:
        """Return the socket of the worker with that index, counted from 0."""
        return self.sockets[index % len(self.sockets)]

    def close(self) -> None:
        """Stop listening in this process, and remove the file of a unix socket."""
        close_all(self.sockets)
        path = self.address.path
        # A successor may already listen there, with its own file.
        if path is not None and self._file is not None and file_identity(path) == self._file:
            with suppress(OSError):
                os.unlink(path)
        self._file = None


def listen_for_workers(address: Address, workers: int, flag: str = "--port") -> Listener:
    """Listen on `address` for that many workers; for a host name, on its first address.

    Raises ConfigError when the address is not available; `flag` is the option to change it.
    """
    if address.path is not None:
        return Listener(address, [unix_listener(address.path)])
    alone = _first(resolve(address), address, flag)
    if workers == 1 or not BALANCES_REUSED_PORTS:
        return Listener(address, [alone])
    # Two programs of one user that both reuse a port share it silently. Binding it exclusively
    # first shows that it is free, and settles the port number when the kernel chooses.
    family, where = alone.family, alone.getsockname()
    alone.close()
    return Listener(address, _reused((family, where), workers, address, flag))


def inherited_listeners(address: Address, fds: Iterable[int], borrowed: bool) -> list[Listener]:
    """Listen on `address` with descriptors that already listen there.

    For a host name, or "" for all interfaces, the sockets may be bound to different addresses;
    each of those gets its own Listener, because each needs all the workers.
    """
    bound: dict[Any, list[socket.socket]] = {}
    for fd in fds:
        sock = socket.socket(fileno=fd)
        sock.set_inheritable(False)
        sock.setblocking(False)
        bound.setdefault((sock.family, sock.getsockname()), []).append(sock)
    return [Listener(address, sockets, borrowed=borrowed) for sockets in bound.values()]


def with_more(listener: Listener, workers: int, flag: str = "--port") -> Listener:
    """Return `listener` with a socket for each of that many workers, where the kernel allows it.

    Where it does not, the workers share the sockets there are: for example when another user
    opened the socket (only that user may share the port).
    """
    missing = workers - len(listener.sockets)
    if missing <= 0 or listener.address.path is not None or not BALANCES_REUSED_PORTS:
        return listener
    first = listener.sockets[0]
    before = first.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
    # A port opened for one worker was not shareable; now it must be.
    first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        more = _reused((first.family, first.getsockname()), missing, listener.address, flag)
    except ConfigError:
        first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, before)
        return listener
    return Listener(listener.address, [*listener.sockets, *more], borrowed=listener.borrowed)


def listen(address: Address, flag: str = "--api-port") -> Listener:
    """Listen on `address` in this process; for a host name, on all its addresses.

    Raises ConfigError when the address is not available; `flag` is the option to change it.
    """
    if address.path is not None:
        return Listener(address, [unix_listener(address.path)])
    resolved = resolve(address)
    sockets = [_first(resolved, address, flag)]
    if address.host in EVERYWHERE:
        return Listener(address, sockets)
    first = sockets[0]
    try:
        for family, where in resolved:
            if (family, where[0]) != (first.family, first.getsockname()[0]):
                with suppress(NoSuchHostError):
                    port = first.getsockname()[1]
                    sockets.append(_tcp((family, _at_port(where, port)), address, flag))
    except ConfigError:
        close_all(sockets)
        raise
    return Listener(address, sockets)


def check_address(address: Address, flag: str) -> None:
    """Raise the ConfigError that listening on a host and port would, and listen nowhere.

    Whether another process listens there is not looked at.
    """
    missing: NoSuchHostError | None = None
    for choice in resolve(address):
        try:
            _tcp(choice, address, flag, listens=False).close()
        except _TakenError:
            return
        except NoSuchHostError as error:
            missing = error
        else:
            return
    if missing is not None:
        raise missing


def close_all(sockets: Iterable[socket.socket]) -> None:
    """Close every one of `sockets`."""
    for sock in sockets:
        sock.close()


# --- TCP --------------------------------------------------------------------------------------


class NoSuchHostError(ConfigError):
    """This machine does not have the address, but may have another one of the same name."""


class _TakenError(ConfigError):
    """Another process listens there."""


def resolve(address: Address) -> list[Resolved]:
    """Return all that `address` can resolve to, the best first. Raises ConfigError if nothing."""
    if address.host in EVERYWHERE:
        both = (socket.AF_INET6, ("::", address.port, 0, 0))
        return [both, (socket.AF_INET, ("0.0.0.0", address.port))]
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise NoSuchHostError(
            f"cannot listen on {address}: the host {address.host!r} is not known; "
            "give an address of this machine, or '*' for all"
        ) from error
    return list(dict.fromkeys((family, where) for family, _, _, _, where in found))


def _first(resolved: Sequence[Resolved], address: Address, flag: str) -> socket.socket:
    for choice in resolved[:-1]:
        with suppress(NoSuchHostError):
            return _tcp(choice, address, flag)
    return _tcp(resolved[-1], address, flag)


def _reused(resolved: Resolved, count: int, address: Address, flag: str) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    try:
        while len(sockets) < count:
            sockets.append(_tcp(resolved, address, flag, reuse=True))
    except ConfigError:
        close_all(sockets)
        raise
    return sockets


def _tcp(
    resolved: Resolved, address: Address, flag: str, *, reuse: bool = False, listens: bool = True
) -> socket.socket:
    family, where = resolved
    sock = None
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
        # Connections of a proxy that has just ended must not block the port for its successor.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            only = where[0] != "::"
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(only))
        sock.setblocking(False)
        sock.bind(where)
        if listens:
            sock.listen(BACKLOG)
    except OSError as error:
        if sock is not None:
            sock.close()
        raise _mistake(error, address, flag) from error
    return sock


def _mistake(error: OSError, address: Address, flag: str) -> ConfigError:
    text = f"cannot listen on {address}: "
    match error.errno:
        case errno.EADDRINUSE:
            return _TakenError(
                f"{text}the port is in use by another process; "
                f"choose another with {flag} or stop it"
            )
        case errno.EACCES | errno.EPERM:
            return ConfigError(
                f"{text}no permission for port {address.port}; choose one above 1023 with {flag}"
            )
        case errno.EADDRNOTAVAIL | errno.EAFNOSUPPORT:
            return NoSuchHostError(
                f"{text}this machine has no such address; give one it has, or '*' for all"
            )
        case _:
            return ConfigError(text + (error.strerror or str(error)))


def _at_port(where: SocketAddress, port: int) -> SocketAddress:
    return (where[0], port, *where[2:])


def _actual(address: Address, sock: socket.socket) -> Address:
    if address.path is not None:
        return address
    return replace(address, port=sock.getsockname()[1])
