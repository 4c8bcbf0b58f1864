"""Accepted connections until they speak HTTP: a TLS handshake is counted and limited in time.

Event loops show a TLS connection to its protocol after the handshake only. To know of it from
accept on, we accept without TLS and begin the handshake the way the loops themselves do. What
comes first is looked at on its way to TLS: who speaks HTTP there is told so, as by nginx and Caddy,
which TLS could only end without a word.
"""

import asyncio
import asyncio.sslproto
import ssl
from collections.abc import Callable
from typing import Any, cast

import uvloop

from hubgate.transport.admission import Admission

# Seconds that a client which spoke HTTP gets to read the response, and bytes that it may send
# meanwhile: closing at once would reset the connection, and take the response from it.
_PARTING = 2.0
_MOST_UNREAD = 1 << 16
_NOT_HTTPS = (
    b"A plain HTTP request was sent to a port that speaks HTTPS: use https:// in the address.\n"
)

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
    """A connection that was just accepted; it hands its transport on to TLS.

    The handshake, its place in `admission` and its time begin at once; the transport is TLS's from
    the first byte on, which says whether it is a handshake.
    """

    __slots__ = (
        *("_admission", "_begin", "_factory", "_tls", "_transport", "_unread", "address", "guest"),
    )

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
        self._tls: asyncio.BufferedProtocol | None = None
        # Bytes that may still come from a client that was told to use HTTPS; None for any other.
        self._unread: int | None = None
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
        self._tls = self._begin(self, waiter)
        self._tls.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._tls is None or self._transport is None:
            return
        if self._unread is not None:
            self._unread -= len(data)
            if self._unread < 0:
                self.abort()
        elif is_text(data):
            self._unread = _MOST_UNREAD
            self._refuse_cleartext(data, self._transport)
        else:
            tls, self._tls = self._tls, None
            self._transport.set_protocol(tls)
            _feed(tls, data)

    def eof_received(self) -> bool | None:
        if self._tls is None or self._unread is not None:
            return None
        return self._tls.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._tls is not None:
            tls, self._tls = self._tls, None
            tls.connection_lost(exc)

    def _refuse_cleartext(self, data: bytes, transport: asyncio.Transport) -> None:
        """Say that this is an HTTPS port, and close.

        Until the client has read it, the connection counts as the handshake that it never begins.
        """
        self._admission.met_cleartext(self.address)
        head = (
            b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n"
            b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n\r\n"
        )
        body = b"" if data.startswith(b"HEAD ") else _NOT_HTTPS
        transport.write(head % len(_NOT_HTTPS) + body)
        transport.write_eof()
        asyncio.get_running_loop().call_later(_PARTING, self.abort)

    def _ended(self, waiter: asyncio.Future[None]) -> None:
        waiter.exception()  # mark it retrieved: strangers' handshakes fail all the time
        # Does nothing if it succeeded, as the guest has entered then.
        self._admission.give_up(self.guest)

    def abort(self) -> None:
        """Close the connection at once."""
        if self._transport is not None:
            self._transport.abort()


def is_text(data: bytes) -> bool:
    """Say whether what a client sends first is a line of text, as a request's is.

    A TLS record begins with 0x16, one of SSL 2 with 0x80 (RFC 8446, section 5.1; RFC 5246,
    appendix E.2). A blank line may precede a request (RFC 9112, section 2.2).
    """
    return data[:1].isalpha() or data[:1] in (b"\r", b"\n")


def _feed(protocol: asyncio.BufferedProtocol, data: bytes) -> None:
    """Have `protocol` read `data`, as the loop would."""
    left = memoryview(data)
    while left:
        buffer = memoryview(protocol.get_buffer(len(left)))
        size = min(len(buffer), len(left))
        buffer[:size] = left[:size]
        left = left[size:]
        protocol.buffer_updated(size)
