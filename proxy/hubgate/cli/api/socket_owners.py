"""Whose sockets listen where a URL leads: a record says only what its author wants it to say."""

import os
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import islice
from pathlib import Path
from urllib.parse import unquote, urlsplit

from hubgate.routing.target import DEFAULT_PORTS

IPAddress = IPv4Address | IPv6Address

_ROOT = 0
_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LISTENING = "0A"  # TCP_LISTEN
# Lines of a table, in which the kernel puts the listening sockets first; and descriptors of a
# process, which opens its ports early.
_MOST_LINES = 200_000
_MOST_DESCRIPTORS = 4096

_LOOPBACK = (IPv4Address("127.0.0.1"), IPv6Address("::1"))
_EVERY_IPV4, _EVERY_IPV6 = IPv4Address("0.0.0.0"), IPv6Address("::")


@dataclass(frozen=True, slots=True)
class ListeningSocket:
    """A socket that listens, the user who opened it, and its inode; "" for a unix socket."""

    uid: int
    inode: str


class SocketOwners:
    """The listening sockets of our network namespace, as they are when this is made.

    Empty where there is no /proc.
    """

    def __init__(self) -> None:
        self._found: dict[tuple[IPAddress, int], list[ListeningSocket]] = {}
        for table in _TABLES:
            for address, port, sock in _read(table):
                self._found.setdefault((address, port), []).append(sock)

    def at(self, url: str) -> list[ListeningSocket]:
        """Return the sockets to which a connection to `url` may come; a name's are not known."""
        parts = urlsplit(url)
        if "unix" in parts.scheme:
            return list(_unix_socket(unquote(parts.netloc)))
        port = parts.port or DEFAULT_PORTS[parts.scheme]
        addresses = _addresses(parts.hostname or "")
        return [sock for each in addresses for sock in self._taking(each, port)]

    def are_of(self, url: str, uid: int, pid: int) -> bool:
        """Return whether `url` leads to a process of that user, and to nobody else.

        Sockets that root opened, as systemd does, must be open in the process.
        """
        found = self.at(url)
        return bool(found) and all(
            each.uid == uid or (each.uid == _ROOT and _holds(pid, each)) for each in found
        )

    def others(self, url: str) -> set[int]:
        """Return who else may get what is sent to `url`: neither this user nor root."""
        return {each.uid for each in self.at(url)} - {os.geteuid(), _ROOT}

    def _taking(self, address: IPAddress, port: int) -> list[ListeningSocket]:
        """Return the sockets that the kernel chooses from: the more special address wins."""
        wider = (_EVERY_IPV4, _EVERY_IPV6) if address.version == 4 else (_EVERY_IPV6,)
        found = (self._found.get((each, port)) for each in (address, *wider))
        return next(filter(None, found), [])


def _read(table: Path) -> Iterator[tuple[IPAddress, int, ListeningSocket]]:
    # A kernel that emulates Linux may write anything.
    with suppress(OSError, ValueError), table.open(encoding="utf-8", errors="replace") as lines:
        for line in islice(lines, 1, _MOST_LINES):
            # sl local_address rem_address st queues timer retransmits uid timeout inode (proc(5))
            fields = line.split(None, 10)
            if len(fields) > 9 and fields[3] == _LISTENING:
                address, _, port = fields[1].partition(":")
                sock = ListeningSocket(int(fields[7]), fields[9])
                yield _address(address), int(port, 16), sock


def _address(digits: str) -> IPAddress:
    """Return the address of a table's line: words of 32 bits in this machine's byte order."""
    step = -1 if sys.byteorder == "little" else 1
    raw = bytes.fromhex(digits)
    packed = b"".join(raw[at : at + 4][::step] for at in range(0, len(raw), 4))
    return _unmapped(IPv4Address(packed) if len(packed) == 4 else IPv6Address(packed))


def _addresses(host: str) -> Iterable[IPAddress]:
    if host == "localhost":
        return _LOOPBACK
    try:
        return (_unmapped(ip_address(host)),)
    except ValueError:
        return ()


def _unmapped(address: IPAddress) -> IPAddress:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _unix_socket(path: str) -> Iterator[ListeningSocket]:
    with suppress(OSError, ValueError):
        found = os.stat(path)
        if stat.S_ISSOCK(found.st_mode):
            yield ListeningSocket(found.st_uid, "")


def _holds(pid: int, sock: ListeningSocket) -> bool:
    """Return whether a process has that socket open; False if we may not know."""
    wanted = f"socket:[{sock.inode}]"
    with suppress(OSError), os.scandir(f"/proc/{pid}/fd") as entries:
        for entry in islice(entries, _MOST_DESCRIPTORS):
            with suppress(OSError):
                if os.readlink(entry.path) == wanted:
                    return True
    return False
