"""Whose X-Forwarded-* headers are trusted, and what is sent on."""

import ipaddress
from collections.abc import Sequence

from hubgate.dataplane.downstream.connection import DownstreamConnection
from hubgate.dataplane.downstream.state import Origin
from hubgate.http1.request import RequestHead

# What a connection remembers must not be large: of no longer Host, in bytes. No name is longer
# (RFC 1035, section 2.3.4), with a port.
_LONGEST_KEPT = 261


class Trust:
    """Networks whose peers may state the client they act for; None trusts every peer.

    A peer on a unix socket is another process on this machine that the socket's permissions
    let in: it is trusted.
    """

    def __init__(self, networks: Sequence[str] | None) -> None:
        self._networks = (
            None if networks is None else [ipaddress.ip_network(text) for text in networks]
        )

    def trusts(self, peer: str) -> bool:
        """Return whether the peer with that address ("" on a unix socket) is trusted."""
        if self._networks is None or not peer:
            return True
        address = ipaddress.ip_address(peer.partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._networks)

    def origin(self, client: DownstreamConnection) -> Origin:
        """Return where a connection comes from; whether it is trusted is determined once."""
        if client.origin is None:
            client.origin = Origin(client.peer, client.secure, self.trusts(client.peer))
        return client.origin

    def lines(self, client: DownstreamConnection, head: RequestHead, add: bool) -> list[bytes]:
        """Return the forwarding lines for a request of `client`."""
        peer, secure, trusted = self.origin(client)
        if not add:
            return passed_lines(head, trusted)
        if head.upgrade or (trusted and head.forwarded):
            return forwarded_lines(head, peer, secure, trusted)
        # The lines depend only on the connection and Host, which rarely changes within one.
        if client.forwarded_host != head.host or client.forwarded_lines is None:
            lines = forwarded_lines(head, peer, secure, trusted)
            if head.host is not None and len(head.host) > _LONGEST_KEPT:
                return lines
            client.forwarded_host, client.forwarded_lines = head.host, lines
        return client.forwarded_lines


def forwarded_lines(head: RequestHead, peer: str, secure: bool, trusted: bool) -> list[bytes]:
    """Return the X-Forwarded-* lines: appended to what a trusted peer sent, else set anew."""
    before = head.forwarded if trusted else {}
    proto = b"https" if secure else b"http"
    if head.upgrade:
        proto = b"wss" if secure else b"ws"
    host = head.host or b""
    lines = [
        _appended(b"X-Forwarded-Port", _port(host, secure), before),
        _appended(b"X-Forwarded-Proto", proto, before),
    ]
    # A peer on a unix socket has no address: an empty one would hide those before it.
    if peer:
        lines.append(_appended(b"X-Forwarded-For", peer.encode("latin-1"), before))
    elif given := before.get(b"x-forwarded-for"):
        lines.append(b"X-Forwarded-For: " + given)
    if first := before.get(b"x-forwarded-host") or host:
        lines.append(b"X-Forwarded-Host: " + first)
    if given := before.get(b"forwarded"):
        lines.append(b"Forwarded: " + given)
    return lines


def passed_lines(head: RequestHead, trusted: bool) -> list[bytes]:
    """Return what is left of incoming forwarding headers when none are to be added."""
    if not trusted:
        return []
    return [name + b": " + value for name, value in head.forwarded.items()]


def _appended(name: bytes, value: bytes, before: dict[bytes, bytes]) -> bytes:
    old = before.get(name.lower())
    return name + b": " + (value if not old else old + b"," + value)


def _port(host: bytes, secure: bool) -> bytes:
    port = host.rpartition(b":")[2] if b":" in host and not host.endswith(b"]") else b""
    return port or (b"443" if secure else b"80")
