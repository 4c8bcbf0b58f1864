"""A connection to one of the control plane's ports: aiohttp's, with the limits every port has.

aiohttp closes idle connections itself, and stops parsing while responses are not read. It waits for
ever for the rest of a head, for a body, and for a client that does not read.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, cast

from aiohttp import web

from hubgate.control.web.responses import RETRIED, RETRY_AFTER
from hubgate.errors import HeadTooLargeError, HubgateError, RequestTimeoutError
from hubgate.model import Limits, Timeouts
from hubgate.transport.admission import Admission
from hubgate.transport.arrivals import address_of
from hubgate.transport.flow import WRITE_BUFFER

SEND_TIMEOUT = 60.0
"""Seconds a client that reads nothing of its response gets, as on the public port."""

# Requests of a client that are parsed before the current one is answered. With one, aiohttp would
# stop and resume reading for each: two system calls.
_AHEAD = 2

_NEVER = float("inf")

Arguments = Mapping[str, Any]
"""Parameters of aiohttp's RequestHandler, by name."""


class ControlServer:
    """Makes the connections of one port for `server`, whose settings for them are `arguments`."""

    def __init__(self, server: web.Server, admission: Admission, arguments: Arguments) -> None:
        self.admission = admission
        self.limits = Limits()
        self.timeouts = Timeouts()
        self.loop = asyncio.get_running_loop()
        self._server = server
        self._arguments = arguments
        admission.guests = self

    def __repr__(self) -> str:
        return f"<ControlServer {self.admission}>"

    def __call__(self) -> "ControlConnection":
        return ControlConnection(self, self._server, self._arguments)

    @property
    def connections(self) -> Sequence["ControlConnection"]:
        """The open connections, as a new list."""
        return cast(Sequence[ControlConnection], self._server.connections)

    def spares(self, newcomer: object) -> list["ControlConnection"]:
        """Return those that may be closed for `newcomer` now, first those to be closed first.

        That is those that have not shown that they may use the port, the oldest first; if there
        are none, those that have been idle longest.
        """
        spare = [each for each in self.connections if each.spare and each is not newcomer]
        strangers = [each for each in spare if not each.proven]
        return strangers or sorted(spare, key=lambda each: each.idle_since)

    def expire(self) -> None:
        """Close whatever has taken too long; to be called twice a second or so."""
        now = self.loop.time()
        for connection in self.connections:
            connection.expire(now)


class ControlConnection(web.RequestHandler):
    """One client's connection; `proven` once it has made a request that it was entitled to."""

    __slots__ = (
        "_address",
        "_begun",
        "_head_bytes",
        "_port",
        "_progress",
        "_raw",
        "_unsent",
        "proven",
    )

    def __init__(self, port: ControlServer, server: web.Server, arguments: Arguments) -> None:
        # Probes are set on the listening socket: aiohttp's would have the kernel's times.
        ours = {
            "keepalive_timeout": port.timeouts.keep_alive,
            "tcp_keepalive": False,
            "access_log": None,
        }
        super().__init__(server, loop=port.loop, **{**arguments, **ours})
        # Of a client that does not read, no more is taken than it takes to answer it.
        self._max_msg_queue_size, self._msg_queue_resume_size = _AHEAD, 0
        self.proven = False
        self._port = port
        self._address = ""
        self._raw: asyncio.Transport | None = None
        # When the head or the body that is arriving began to; never, if none is.
        self._begun = _NEVER
        self._head_bytes = 0
        # What was unsent when the client last read something, and when that was.
        self._unsent = 0
        self._progress = 0.0

    def __repr__(self) -> str:
        return f"<ControlConnection {self._address or 'unix'}>"

    @property
    def busy(self) -> bool:
        """Whether a request is being served, or waits to be."""
        # Between the two, aiohttp has neither noted the one nor waits for another.
        waiting = self._waiter is not None and not self._waiter.done()
        return self._request_count > 0 and not waiting

    @property
    def spare(self) -> bool:
        """Whether it may be closed to make room for another."""
        lives = self._raw is not None and not self._raw.is_closing()
        return lives and not (self.proven and self.busy)

    @property
    def idle_since(self) -> float:
        """When its last request was answered, in the loop's seconds; the order is what counts."""
        return self._next_keepalive_close_time

    # --- asyncio.Protocol --------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._raw = cast(asyncio.Transport, transport)
        self._address = address_of(transport)
        if transport.get_extra_info("sslcontext") is not None:
            self._raw.set_write_buffer_limits(WRITE_BUFFER)
        if (error := self._port.admission.enter(self._address, self)) is not None:
            self._refuse(error)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._raw = None
        self._port.admission.leave(self._address)

    def data_received(self, data: bytes) -> None:
        before = self._request_count
        super().data_received(data)
        if self._request_count != before:
            self._begun, self._head_bytes = self._port.loop.time(), 0
        elif data and not self.busy:
            self._read_head(len(data))

    def _read_head(self, size: int) -> None:
        if not self._head_bytes:
            self._begun = self._port.loop.time()
        self._head_bytes += size
        if self._head_bytes > self._port.limits.head:
            self._refuse(HeadTooLargeError("the request's headers are too large"))

    # --- limits ------------------------------------------------------------------------------

    def expire(self, now: float) -> None:
        """Close it if it takes too long over what it sends, or over reading what it is sent."""
        if self._raw is None:
            return
        unsent = self._raw.get_write_buffer_size()
        if not self._unsent or unsent < self._unsent:
            self._progress = now
        self._unsent = unsent
        if unsent and now - self._progress > SEND_TIMEOUT:
            self.abort()
        elif self._head_bytes:
            if now - self._begun > self._port.timeouts.head:
                self._refuse(RequestTimeoutError("the request's head did not arrive in time"))
        elif now - self._begun > self._port.timeouts.body:
            self._expire_body()

    def _expire_body(self) -> None:
        """Have the current request fail unless its body is complete."""
        request = self._current_request
        if request is not None and not request.content.is_eof():
            self._begun = _NEVER
            self.close()  # after the response
            request.content.set_exception(web.HTTPRequestTimeout())
            request.content.feed_eof()

    def _refuse(self, error: HubgateError) -> None:
        """Answer with an error no request of this connection asked for, and close."""
        if self._raw is not None and not self._raw.is_closing():
            reason = web.Response(status=error.status).reason
            head = f"HTTP/1.1 {error.status} {reason}\r\nConnection: close\r\nContent-Length: 0"
            if error.status in RETRIED:
                head += f"\r\nRetry-After: {RETRY_AFTER}"
            self._raw.write(f"{head}\r\n\r\n".encode())
        self._begun, self._head_bytes = _NEVER, 0
        self.force_close()

    def abort(self) -> None:
        """Close it at once."""
        self.force_close()
        if self._raw is not None:
            self._raw.abort()


def prove(request: web.Request) -> None:
    """Note that whoever sent `request` may use the port: its connection is kept over strangers'."""
    if isinstance(request.protocol, ControlConnection):
        request.protocol.proven = True
