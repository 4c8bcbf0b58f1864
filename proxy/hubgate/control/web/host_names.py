"""Which names a request's Host may have on the control plane's ports while they need no token.

A page of `evil.example` whose DNS server then gives our address for that name ("DNS rebinding")
is of one origin with us in the eyes of its browser, and may read and change everything. Only the
Host field still shows the name. Addresses, and names that no DNS server decides, cannot be rebound.
"""

import re
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address

from hubgate.settings import Settings

# RFC 9110, section 7.2: a host, and perhaps a port.
_HOST = re.compile(r"(\[[^\[\]]*\]|[^\s:/?#@\[\]\\]+)(?::[0-9]*)?")


class HostNames:
    """The host names of these ports, besides those of the loopback interface."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.replace(names)

    def __repr__(self) -> str:
        return f"<HostNames {sorted(self._names)}>"

    def replace(self, names: Iterable[str]) -> None:
        """Know `names` and no others, from the next request on."""
        self._names = frozenset(_canonical(name) for name in names)

    def known(self, field: str, arrived_at: str | None) -> bool:
        """Say whether a request with this Host, as it came, may pass.

        `arrived_at` is the address of ours at which the connection arrived, None if unknown.
        """
        match = _HOST.fullmatch(field.strip())
        if match is None:
            return False
        name = _canonical(match[1])
        if name.startswith("["):
            return _is_ipv6(name[1:-1])
        if name == "localhost" or name.endswith(".localhost") or name in self._names:
            return True  # browsers do not ask DNS about localhost (RFC 6761, section 6.3)
        if "." not in name:
            # `proxy` in a Compose file. Who decides such names in our network can connect to this
            # port without a browser's help, unless only this machine can.
            return _is_number(name) or not _is_loopback(arrived_at)
        # A browser takes a host that ends in a number for an IPv4 address (WHATWG URL, 3.5).
        return _is_number(name.rpartition(".")[2])


def names_of(settings: Settings) -> set[str]:
    """Return the host names that `settings` give the API's and the metrics' port."""
    listening = {address.host for address in (*settings.api, *settings.metrics) if address.host}
    return {*settings.api_hosts, *listening}


def _canonical(name: str) -> str:
    return name.lower().removesuffix(".")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _is_ipv6(text: str) -> bool:
    try:
        return isinstance(ip_address(text), IPv6Address)
    except ValueError:
        return False


def _is_loopback(address: str | None) -> bool:
    try:
        found = ip_address(address or "127.0.0.1")
    except ValueError:
        return True
    # A socket for both families shows an IPv4 address as ::ffff:127.0.0.1.
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return (mapped or found).is_loopback
