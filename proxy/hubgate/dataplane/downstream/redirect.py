"""The cleartext port that redirects every request to HTTPS.

Its connections are those of the public port in every respect, but for what answers a request.
"""

import asyncio
import re

from aiohttp import web

from hubgate.dataplane.downstream.connection import DownstreamConnection
from hubgate.dataplane.downstream.server import DownstreamServer
from hubgate.errors import HubgateError
from hubgate.http1.fast_path import HeaderBlocks
from hubgate.http1.message import REASONS, lines_for
from hubgate.http1.reader import IncomingRequest
from hubgate.http1.request import RequestHead
from hubgate.model import Limits, Timeouts, WorkerConfig
from hubgate.routing.table import RouteEntry
from hubgate.transport.admission import Admission
from hubgate.transport.turns import Turns

_HOST = re.compile(rb"[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\]")
_NO_HOST = b"This port only redirects to HTTPS: the request has no valid Host.\n"


class RedirectServices:
    """What connections of the redirecting port need: the public port's rules, its own limits."""

    limits: Limits
    header_blocks: HeaderBlocks
    timeouts: Timeouts

    def __init__(self, admission: Admission, turns: Turns) -> None:
        self.admission = admission
        self.turns = turns
        self._to_port: int | None = None

    def configure(self, config: WorkerConfig, header_blocks: HeaderBlocks) -> None:
        """Serve new requests by `config`; `header_blocks` may be shared with other ports."""
        self.limits = config.limits
        self.timeouts = config.timeouts
        self.header_blocks = header_blocks
        self._to_port = config.redirect_to

    def open_stream(
        self, client: DownstreamConnection, request: IncomingRequest
    ) -> "RedirectStream":
        """Return what redirects `request`."""
        return RedirectStream(client, request, self._to_port)


class RedirectServer(DownstreamServer):
    """Makes connections that redirect; `public` keeps them among its own.

    They are therefore limited in time and drained as all others are.
    """

    def __init__(self, services: RedirectServices, public: DownstreamServer) -> None:
        super().__init__(services)
        self._public = public

    @property
    def clients(self) -> list[DownstreamConnection]:
        """The open connections of this port, as a new list."""
        return [each for each in self._public.clients if each.server is self]

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Have the public port keep the connection."""
        self._public.connection_made(handler, transport)

    def connection_lost(
        self, handler: web.RequestHandler, exc: BaseException | None = None
    ) -> None:
        """Have the public port forget the connection."""
        self._public.connection_lost(handler, exc)


class RedirectStream:
    """Answers one request; a body is not waited for."""

    __slots__ = ("_client", "_request", "_to_port")

    def __init__(
        self, client: DownstreamConnection, request: IncomingRequest, to_port: int | None
    ) -> None:
        self._client = client
        self._request = request
        self._to_port = to_port

    def __repr__(self) -> str:
        return f"<RedirectStream {self._request.head}>"

    def start(self) -> None:
        """Answer."""
        request, client = self._request, self._client
        head, error = request.head, request.error
        if head is None or error is not None:
            keep, answer = False, _response(400 if error is None else error.status, False)
        else:
            keep = head.keep_alive and request.ended and not (head.upgrade or client.closing)
            answer = redirection(head, self._to_port, keep)
        client.transport.write(answer)
        client.done(keep)

    def on_request_data(self) -> None:
        """Ignore a body: its connection is closed after the answer."""

    def on_client_lost(self) -> None:
        """Do nothing: nothing is in progress."""

    def cut_off(self, error: HubgateError) -> RouteEntry | None:
        """Do nothing: nothing is in progress."""

    def on_client_writable(self, writable: bool) -> None:
        """Do nothing: everything is written already."""


def redirection(head: RequestHead, to_port: int | None, keep: bool) -> bytes:
    """Return a 301 to `https://HOST[:port]URL`, leaving out port 443; a 400 without a host."""
    host = head.host or b""
    name = host.partition(b"]")[0] + b"]" if host.startswith(b"[") else host.partition(b":")[0]
    if not _HOST.fullmatch(name):
        plain = b"Content-Type: text/plain; charset=utf-8"
        return _response(400, keep, plain, b"" if head.method == b"HEAD" else _NO_HOST)
    suffix = b"" if to_port in (None, 443) else b":%d" % to_port
    return _response(301, keep, b"Location: https://" + name + suffix + head.target)


def _response(status: int, keep: bool, line: bytes | None = None, body: bytes = b"") -> bytes:
    lines = [b"HTTP/1.1 %d %s" % (status, REASONS.get(status, b"Error")), *lines_for(status)]
    lines += [line] if line is not None else []
    lines += [] if keep else [b"Connection: close"]
    lines.append(b"Content-Length: %d\r\n\r\n" % len(body))
    return b"\r\n".join(lines) + body
