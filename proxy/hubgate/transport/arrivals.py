"""Accepted connections until they speak HTTP: a TLS handshake is counted and limited in time.

Event loops show a TLS connection to its protocol after the handshake only. To know of it from
accept on, we accept without TLS and begin the handshake the way the loops themselves do.
"""

import asyncio
import asyncio.sslproto
import ssl
from collections.abc import Callable
from typing import Any, cast

import uvloop

from hubgate.transport.admission import Admission

Factory = Callable[[], asyncio.BaseProtocol]


def address_of(transport: asyncio.BaseTransport) -> str:
    """Return the peer's address, "" on a unix socket.

    Of one that a socket for both families shows as `::ffff:192.0.2.1`, the IPv4 address.
    """
    name = transport.get_extra_info("peername")
    address: str = name[0] if isinstance(name, tuple) else ""
    return address[7:] if address.startswith("::ffff:") and "." in address else address


def over_tls(
    factory: Factory, admission: Admission, tls: ssl.SSLContext, limit: Callable[[], float]
) -> Factory:
    """Return a factory for a server without TLS whose connections begin with a handshake.

    A handshake may take `limit()` seconds. The protocols of `factory` are connected once it has
    succeeded; they are counted in `admission` by then, and have to leave it when they end.
    """
    implementation: Any = _implementation(asyncio.get_running_loop())

    def begin(arrival: "Arrival", waiter: asyncio.Future[None]) -> asyncio.BufferedProtocol:
        return cast(
            asyncio.BufferedProtocol,
            implementation(
                asyncio.get_running_loop(),
                arrival.guest,
                tls,
                waiter,
                server_side=True,
                ssl_handshake_timeout=limit(),
            ),
        )

    return lambda: Arrival(factory, admission, begin)


def _implementation(loop: asyncio.AbstractEventLoop) -> type:
    """Return the loop's own protocol between a socket and a protocol over TLS."""
    of_uvloop: Any = uvloop.loop
    if isinstance(loop, uvloop.Loop):
        return cast(type, of_uvloop.SSLProtocol)
    return asyncio.sslproto.SSLProtocol


class Arrival(asyncio.Protocol):
    """A connection that was just accepted; it hands its transport on to TLS."""

    __slots__ = ("_admission", "_begin", "_factory", "_transport", "address", "guest")

    def __init__(
        self,
        factory: Factory,
        admission: Admission,
        begin: Callable[["Arrival", asyncio.Future[None]], asyncio.BufferedProtocol],
    ) -> None:
        self._factory = factory
        self._admission = admission
        self._begin = begin
        self._transport: asyncio.Transport | None = None
        self.address = ""
        self.guest: asyncio.BaseProtocol | None = None

    def __repr__(self) -> str:
        return f"<Arrival {self.address or 'unix'}>"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.address = address_of(transport)
        self.guest = self._factory()
        if self._admission.begin(self) is not None:
            # It cannot be told why: that would take the handshake it is refused.
            self.abort()
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter.add_done_callback(self._ended)
        protocol = self._begin(self, waiter)
        self._transport.set_protocol(protocol)
        protocol.connection_made(transport)

    def _ended(self, waiter: asyncio.Future[None]) -> None:
        waiter.exception()  # mark it retrieved: strangers' handshakes fail all the time
        # Does nothing if it succeeded, as the guest has entered then.
        self._admission.give_up(self.guest)

    def abort(self) -> None:
        """Close the connection at once."""
        if self._transport is not None:
            self._transport.abort()
