"""One listening socket and what serves it, which may change while connections wait."""

import asyncio
import socket
import ssl

from hubgate.dataplane.downstream.server import DownstreamServer
from hubgate.model import TcpKeepalive
from hubgate.transport.arrivals import Factory, over_tls
from hubgate.transport.dead_peers import probe_options, probe_peer

_BACKLOG = 4096


class Acceptor:
    """Accepts connections on `sock` for `server`; `cleartext` never speaks TLS."""

    def __init__(
        self, sock: socket.socket, server: DownstreamServer, cleartext: bool = False
    ) -> None:
        self._sock = sock
        self._server = server
        self._cleartext = cleartext
        self._accepting: asyncio.Server | None = None

    def __repr__(self) -> str:
        return f"<Acceptor {self._sock.getsockname()} {'open' if self._accepting else 'closed'}>"

    async def open(self, tls: ssl.SSLContext | None, probes: TcpKeepalive) -> None:
        """Accept with `tls` and `probes` from now on; connections made before keep what they have.

        An acceptor that has given its socket up stays closed.
        """
        if self._given_up:
            return
        loop = asyncio.get_running_loop()
        before, tls = self._accepting, None if self._cleartext else tls
        # A duplicate, because closing an asyncio server closes its socket: the original keeps
        # listening, and keeps its queue of waiting connections.
        sock = self._sock.dup()
        # Accepted connections inherit it: the kernel notices a client that is gone for good.
        if sock.family != socket.AF_UNIX:
            probe_peer(sock, probe_options(probes))
        made = self._server if tls is None else self._over_tls(tls)
        if sock.family == socket.AF_UNIX:
            accepting = await loop.create_unix_server(made, sock=sock, backlog=_BACKLOG)
        else:
            accepting = await loop.create_server(made, sock=sock, backlog=_BACKLOG)
        if self._given_up:
            accepting.close()
            return
        self._accepting = accepting
        if before is not None:
            before.close()

    def _over_tls(self, tls: ssl.SSLContext) -> Factory:
        plane = self._server.plane
        return over_tls(self._server, plane.admission, tls, lambda: plane.timeouts.head)

    @property
    def _given_up(self) -> bool:
        return self._sock.fileno() < 0

    def retire(self) -> None:
        """Stop accepting and give the socket up; connections stay open."""
        if self._accepting is not None:
            self._accepting.close()
            self._accepting = None
        self._sock.close()
