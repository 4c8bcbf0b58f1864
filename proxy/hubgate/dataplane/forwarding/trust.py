"""Whose X-Forwarded-* headers are believed, and what is sent on."""

import ipaddress
from collections.abc import Sequence

from hubgate.dataplane.downstream.connection import Downstream, Origin
from hubgate.dataplane.forwarding.request_writer import forwarded_lines, passed_lines
from hubgate.http1.request import RequestHead


class Trust:
    """Networks whose peers may say on whose behalf they speak; None trusts every peer.

    A peer on a unix socket is another process of this machine that the socket's permissions
    let in: it is trusted.
    """

    def __init__(self, networks: Sequence[str] | None) -> None:
        self._networks = (
            None if networks is None else [ipaddress.ip_network(text) for text in networks]
        )

    def trusts(self, peer: str) -> bool:
        """Say whether the peer with that address ("" on a unix socket) is believed."""
        if self._networks is None or not peer:
            return True
        address = ipaddress.ip_address(peer.partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._networks)

    def origin(self, client: Downstream) -> Origin:
        """Return where a connection comes from; whether it is believed is found out once."""
        if client.origin is None:
            client.origin = Origin(client.peer, client.secure, self.trusts(client.peer))
        return client.origin

    def lines(self, client: Downstream, head: RequestHead, add: bool) -> list[bytes]:
        """Return the forwarding lines for a request of `client`."""
        peer, secure, trusted = self.origin(client)
        if not add:
            return passed_lines(head, trusted)
        if head.upgrade or (trusted and head.forwarded):
            return forwarded_lines(head, peer, secure, trusted)
        # The lines depend on nothing but the connection and Host: one connection, one Host.
        if client.forwarded_host != head.host or client.forwarded_lines is None:
            client.forwarded_host = head.host
            client.forwarded_lines = forwarded_lines(head, peer, secure, trusted)
        return client.forwarded_lines
