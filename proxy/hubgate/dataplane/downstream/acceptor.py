"""One listening socket and what serves it, which may change while connections wait."""

import asyncio
import socket
import ssl

from aiohttp import web

_BACKLOG = 4096


class Acceptor:
    """Accepts connections on `sock` for `server`; `cleartext` never speaks TLS."""

    def __init__(self, sock: socket.socket, server: web.Server, cleartext: bool = False) -> None:
        self._sock = sock
        self._server = server
        self._cleartext = cleartext
        self._accepting: asyncio.Server | None = None

    def __repr__(self) -> str:
        return f"<Acceptor {self._sock.getsockname()} {'open' if self._accepting else 'closed'}>"

    async def open(self, tls: ssl.SSLContext | None) -> None:
        """Accept with `tls` from now on; connections made before keep what they have.

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
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        server = self._server
        if sock.family == socket.AF_UNIX:
            accepting = await loop.create_unix_server(server, sock=sock, backlog=_BACKLOG, ssl=tls)
        else:
            accepting = await loop.create_server(server, sock=sock, backlog=_BACKLOG, ssl=tls)
        if self._given_up:
            accepting.close()
            return
        self._accepting = accepting
        if before is not None:
            before.close()

    @property
    def _given_up(self) -> bool:
        return self._sock.fileno() < 0

    @property
    def busy(self) -> bool:
        """Whether connections are open that only this acceptor tracks."""
        return self._cleartext and bool(self._server.connections)

    def retire(self) -> None:
        """Stop accepting and give the socket up; connections stay open."""
        if self._accepting is not None:
            self._accepting.close()
            self._accepting = None
        self._sock.close()

    async def close(self) -> None:
        """Stop accepting and give the socket up; end connections that only this acceptor tracks."""
        self.retire()
        if self._cleartext:
            # aiohttp reads a timeout of 0 as "no timeout".
            self._server.pre_shutdown()
            await self._server.shutdown(0.1)
