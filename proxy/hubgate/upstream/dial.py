"""Opening a connection to a peer: TCP, TLS or a unix socket, in bounded time."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import TypeVar

from hubgate.errors import ConnectError, NameLookupError, RefusedError
from hubgate.model import TcpKeepalive, Timeouts
from hubgate.routing.target import Peer
from hubgate.transport.dead_peers import probe_options, probe_peer, probe_transport_peer
from hubgate.upstream.happy_eyeballs import connect_any
from hubgate.upstream.resolver import Addresses, Resolver, is_literal

P = TypeVar("P", bound=asyncio.Protocol)
Factory = Callable[[], P]

# Seconds that addresses from memory have to respond before the name is looked up anew: its machine
# may be gone, and another one in its place.
_REMEMBERED_TRIED = 1.0


class Dialer:
    """Opens connections within `timeouts`, all with one TLS identity, `tls`.

    A name is looked up by `resolver`, with a time limit of its own; an IP address never is.
    """

    def __init__(
        self,
        timeouts: Timeouts,
        tls: ssl.SSLContext | None,
        probes: TcpKeepalive,
        resolver: Resolver,
    ) -> None:
        self._timeouts = timeouts
        self._tls = tls
        self._probes = probe_options(probes)
        self._resolver = resolver
        self._loop = asyncio.get_running_loop()

    async def connect(self, peer: Peer, factory: Factory[P]) -> P:
        """Connect to `peer` and return the protocol `factory` made.

        Raises NameLookupError, RefusedError if nothing listens there, else ConnectError; the text
        names the peer and the reason.
        """
        try:
            if peer.unix is not None:
                return await self._to_unix(peer.unix, factory)
            if is_literal(peer.host):
                return await self._to_address(peer, factory)
            return await self._to_name(peer, factory)
        except NameLookupError as error:
            raise NameLookupError(f"{peer}: {error}") from None
        except TimeoutError:
            limit = self._timeouts.connect
            raise ConnectError(f"{peer} did not accept a connection within {limit:g} s") from None
        except (ConnectionRefusedError, FileNotFoundError) as error:
            raise RefusedError(f"cannot connect to {peer}: {_reason(error)}") from None
        except (OSError, ssl.SSLError, ssl.CertificateError, UnicodeError) as error:
            raise ConnectError(f"cannot connect to {peer}: {_reason(error)}") from None

    async def _to_unix(self, path: str, factory: Factory[P]) -> P:
        async with asyncio.timeout(self._timeouts.connect):
            _, protocol = await self._loop.create_unix_connection(factory, path)
        return protocol

    async def _to_address(self, peer: Peer, factory: Factory[P]) -> P:
        async with asyncio.timeout(self._timeouts.connect):
            transport, protocol = await self._loop.create_connection(
                factory,
                peer.host,
                peer.port,
                ssl=self._tls if peer.tls else None,
                server_hostname=peer.host if peer.tls else None,
            )
        probe_transport_peer(transport, self._probes)
        return protocol

    async def _to_name(self, peer: Peer, factory: Factory[P]) -> P:
        sock, deadline = await self._reach(peer)
        try:
            async with asyncio.timeout_at(deadline):
                _, protocol = await self._loop.create_connection(
                    factory,
                    sock=sock,
                    ssl=self._tls if peer.tls else None,
                    server_hostname=peer.host if peer.tls else None,
                )
        except BaseException:
            sock.close()
            raise
        return protocol

    async def _reach(self, peer: Peer) -> tuple[socket.socket, float]:
        """Return a socket that is connected to `peer`, and until when TLS may take (loop time).

        A service that was created anew has another address, and what is sent to the old one may
        be dropped without a word.
        """
        limit = self._timeouts.connect
        remembered = self._resolver.recall(peer.host)
        if remembered is not None:
            deadline = self._loop.time() + limit
            try:
                return await self._race(peer, remembered, min(limit, _REMEMBERED_TRIED)), deadline
            except OSError as error:
                self._resolver.forget(peer.host)
                addresses = await self._resolver.look_up(peer.host, self._timeouts.lookup)
                if {*addresses} == {*remembered} and not isinstance(error, TimeoutError):
                    raise
        else:
            addresses = await self._resolver.look_up(peer.host, self._timeouts.lookup)
        deadline = self._loop.time() + limit
        return await self._race(peer, addresses, limit), deadline

    async def _race(self, peer: Peer, addresses: Addresses, limit: float) -> socket.socket:
        async with asyncio.timeout(limit):
            address, sock = await connect_any(addresses, peer.port)
        if address != addresses[0]:
            self._resolver.prefer(peer.host, address)
        probe_peer(sock, self._probes)
        return sock


def _reason(error: Exception) -> str:
    text = getattr(error, "verify_message", "") or getattr(error, "strerror", None) or str(error)
    return text or type(error).__name__
