"""Listening sockets opened before we started: by systemd, or by a hub that keeps ours."""

import os
import socket
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass

from hubgate.control.handover import HandedListener
from hubgate.control.listening.listeners import Listeners
from hubgate.control.listening.sockets import resolve
from hubgate.current_folder import anchored
from hubgate.errors import ConfigError
from hubgate.keeper import VARIABLE as KEEPER
from hubgate.keeper import KeeperClient
from hubgate.model import Address
from hubgate.settings import Settings
from hubgate.settings.catalogue import LISTENERS
from hubgate.settings.checks import whole_number

# sd_listen_fds(3)
FIRST_FD = 3
VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
# As many as a process may have by Linux's own rules (fs.nr_open).
_MOST_GIVEN = 1 << 20

# A socket's purpose, by the name a unit may give it (FileDescriptorName=).
PURPOSES = {flag.descriptor: flag.name for flag in LISTENERS.values()}


@dataclass(frozen=True, slots=True)
class GivenSocket:
    """An inherited descriptor and its name, if it was given one."""

    fd: int
    name: str = ""

    def __str__(self) -> str:
        return f"descriptor {self.fd} ({self.name})" if self.name else f"descriptor {self.fd}"


def inherits_sockets(environ: Mapping[str, str]) -> bool:
    """Return whether another process has opened sockets for this one: it may not be able to."""
    return environ.get(VARIABLES[0]) == str(os.getpid()) or KEEPER in environ


def inherited(
    settings: Settings, environ: MutableMapping[str, str], keeper: KeeperClient | None
) -> list[HandedListener]:
    """Return the sockets this process inherited, by purpose. Raises ConfigError."""
    kept = keeper.take() if keeper is not None else []
    ours = [GivenSocket(fd, "kept by the hub") for fd in kept]
    return assigned([*from_systemd(environ), *ours], settings)


def lend_to_keeper(keeper: KeeperClient | None, listeners: Listeners) -> None:
    """Lend our keeper the ports that browsers connect to."""
    if keeper is not None:
        # A hub removes the file of a unix socket. The API's clients can wait, and a hub tells
        # that its proxy is up by connecting to the API's port.
        public = (*listeners.public, *listeners.redirect)
        ours = [each for each in public if each.address.path is None]
        keeper.lend(sock.fileno() for each in ours for sock in each.sockets)


def from_systemd(environ: MutableMapping[str, str]) -> list[GivenSocket]:
    """Return the sockets passed the way systemd does; hide its variables from our children.

    Raises ConfigError for a count that is not a number, and for what is not a listening socket.
    """
    pid, count, names = (environ.pop(name, "") for name in VARIABLES)
    if pid != str(os.getpid()):  # meant for the process that started us
        return []
    try:
        given = range(whole_number(count, "number of sockets", 0, _MOST_GIVEN))
    except ConfigError as error:
        raise ConfigError(f"LISTEN_FDS: {error}, as systemd does") from None
    called = dict(enumerate(names.split(":"))) if names else {}
    return [_taken(GivenSocket(FIRST_FD + at, called.get(at, ""))) for at in given]


def assigned(given: Iterable[GivenSocket], settings: Settings) -> list[HandedListener]:
    """Return which configured address each socket listens on. Raises ConfigError."""
    configured = {flag.name: getattr(settings, field) for field, flag in LISTENERS.items()}
    return [_assigned(each, configured) for each in given]


def _assigned(given: GivenSocket, configured: dict[str, tuple[Address, ...]]) -> HandedListener:
    only = PURPOSES.get(given.name)
    wanted = [
        (flag, address)
        for flag, addresses in configured.items()
        if only in (None, flag)
        for address in addresses
    ]
    with socket.socket(fileno=os.dup(given.fd)) as sock:
        family, bound = sock.family, sock.getsockname()
    for flag, address in wanted:
        if _is_at(family, bound, address):
            return HandedListener(flag, str(address), (given.fd,), borrowed=True)
    known = " or ".join(str(address) for _, address in wanted) or "any configured address"
    raise ConfigError(
        f"LISTEN_FDS: {given} listens on {_shown(family, bound)}, not on {known}; "
        "ListenStream= and the settings must agree"
    )


def _is_at(family: int, bound: object, address: Address) -> bool:
    if address.path is not None:
        return isinstance(bound, str) and bound == anchored(address.path)
    if not isinstance(bound, tuple):
        return False
    return any((kind, where[:2]) == (family, bound[:2]) for kind, where in resolve(address))


def _shown(family: int, bound: object) -> str:
    if isinstance(bound, tuple):
        return str(Address(*bound[:2]))
    return f"unix:{bound!s}"


def _taken(given: GivenSocket) -> GivenSocket:
    """Return a socket that listens, hidden from our children. Raises ConfigError."""
    try:
        with socket.socket(fileno=os.dup(given.fd)) as sock:
            listens = sock.type == socket.SOCK_STREAM and sock.getsockopt(
                socket.SOL_SOCKET, socket.SO_ACCEPTCONN
            )
    except OSError:  # closed, or not a socket
        listens = False
    if not listens:
        raise ConfigError(
            f"LISTEN_FDS: {given} is not a listening socket; "
            "a unit needs ListenStream= and Accept=no"
        )
    os.set_inheritable(given.fd, False)
    return given
