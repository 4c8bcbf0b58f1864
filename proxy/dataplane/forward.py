"""One request on its way: match, connect, send, receive, finish."""

import asyncio
import logging
from enum import Enum
from time import perf_counter
from typing import TYPE_CHECKING, cast

from proxy.dataplane import error_pages
from proxy.dataplane.headers import (
    is_redirect,
    request_bytes,
    response_lines,
    rewrite_location,
)
from proxy.dataplane.listener import Downstream, Hold
from proxy.dataplane.reader import Incoming
from proxy.dataplane.request import RequestHead
from proxy.errors import (
    BadTargetError,
    ConnectError,
    HubgateError,
    NoRouteError,
    Side,
    StaleConnectionError,
    UpstreamError,
    UpstreamTimeoutError,
)
from proxy.routing.table import RouteEntry
from proxy.routing.target import Target
from proxy.tasks import spawn
from proxy.upstream.connection import Body, ResponseHead, UpstreamConnection

if TYPE_CHECKING:
    from proxy.dataplane.server import DataPlane

log = logging.getLogger("hubgate")

_HEALTH = b"/_chp_healthz"


class Phase(Enum):
    """Where a request is; FINISH always comes, once."""

    MATCH = "match"
    CONNECT = "connect"
    SEND = "send"
    RECEIVE = "receive"
    FINISH = "finish"


class Exchange:
    """Forwards one request of `client` and brings the response back."""

    __slots__ = (
        "_attempts",
        "_body_sent",
        "_chunked",
        "_client",
        "_connection",
        "_entry",
        "_keep",
        "_last_byte",
        "_opening",
        "_plane",
        "_request",
        "_status",
        "_target",
        "_task",
        "_timer",
        "phase",
    )

    def __init__(self, plane: "DataPlane", client: Downstream, request: Incoming) -> None:
        self.phase = Phase.MATCH
        self._plane = plane
        self._client = client
        self._request = request
        self._connection: UpstreamConnection | None = None
        self._entry: RouteEntry | None = None
        self._target: Target | None = None
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._opening = b""
        self._status = 0
        self._attempts = 0
        self._last_byte = 0.0
        self._body_sent = False
        self._chunked = False
        self._keep = True

    def __repr__(self) -> str:
        return f"<Exchange {self._request.head} {self.phase.value}>"

    # --- match -----------------------------------------------------------------------------

    def start(self) -> None:
        """Find the route and send the request on its way."""
        head = self._request.head
        if head is None or self._request.error is not None:
            self._fail(self._request.error or HubgateError("no request"))
            return
        self._keep = head.keep_alive and not self._client.closing
        plane = self._plane
        if head.target == _HEALTH and not head.upgrade:
            self._answer(
                200, error_pages.Page(b'{"status": "OK"}', [b"Content-Type: application/json"])
            )
            return
        plane.counters["requests_ws" if head.upgrade else "requests_web"] += 1
        try:
            entry, target = self._match(head)
        except HubgateError as error:
            self._fail(error)
            return
        self._opening = request_bytes(
            head, entry, target, plane.rules, plane.added_lines(self._client, head, entry)
        )
        connection = plane.pool.take(target.peer)
        if connection is None:
            self._connect()
        else:
            self._send(connection)

    def _match(self, head: RequestHead) -> tuple[RouteEntry, Target]:
        plane = self._plane
        begun = perf_counter()
        host = "" if head.host is None else head.host.decode("latin-1")
        entry = plane.table.match(host, head.target.decode("latin-1"))
        plane.counters["find_target_for_req_sum"] += perf_counter() - begun
        plane.counters["find_target_for_req_count"] += 1
        if entry is None:
            raise NoRouteError("no route")
        if entry.target is None:
            raise BadTargetError(f"the target of route {entry.key} is not a usable URL")
        self._entry, self._target = entry, entry.target
        return entry, entry.target

    # --- connect ---------------------------------------------------------------------------

    def _connect(self) -> None:
        self.phase = Phase.CONNECT
        if not self._request.ended:
            self._client.hold(Hold.CONNECTING)
        self._task = spawn(self._open_connection(), "connect upstream")

    async def _open_connection(self) -> None:
        try:
            connection = await self._plane.pool.connect(cast(Target, self._target).peer)
        except ConnectError as error:
            self._task = None
            self._fail(error)
            return
        self._task = None
        if self.phase is Phase.FINISH:
            connection.abort()
        else:
            self._send(connection)

    # --- send ------------------------------------------------------------------------------

    def _send(self, connection: UpstreamConnection) -> None:
        self.phase = Phase.SEND
        self._connection = connection
        self._attempts += 1
        request = self._request
        head = cast(RequestHead, request.head)
        data = self._opening
        if head.body is not Body.NONE:
            data += self._body()
        connection.begin(self, data, bodiless=head.method == b"HEAD")
        if not self._client.writable:
            connection.transport.pause_reading()
        if self._plane.response_timeout is not None:
            self._watch()
        if not request.ended:
            self._client.unhold(Hold.CONNECTING)

    def _body(self) -> bytes:
        """Take what arrived of the request's body, in the framing that goes to the target."""
        request = self._request
        data = request.take()
        if data:
            self._body_sent = True
            cast(RouteEntry, self._entry).touch()
        if cast(RequestHead, request.head).body is Body.CHUNKED:
            if data:
                data = b"%x\r\n%b\r\n" % (len(data), data)
            if request.ended:
                data += b"0\r\n\r\n"
        return data

    def on_request_data(self) -> None:
        """Pass on what came of the body."""
        request = self._request
        if request.error is not None:
            self._fail(request.error)
        elif self._connection is not None and (request.chunks or request.ended):
            head = cast(RequestHead, request.head)
            if head.body is not Body.NONE and not head.upgrade and (data := self._body()):
                self._connection.transport.write(data)

    def on_upstream_writable(self, writable: bool) -> None:
        """Slow the client down while the target does not take its body fast enough."""
        if writable:
            self._client.unhold(Hold.UPSTREAM)
        else:
            self._client.hold(Hold.UPSTREAM)

    # --- receive ---------------------------------------------------------------------------

    def on_informational(self, head: ResponseHead) -> None:
        """Pass 1xx on; HTTP/1.0 knows none."""
        if not cast(RequestHead, self._request.head).http10:
            lines = response_lines(head)
            self._client.transport.write(b"\r\n".join([*lines, b"\r\n"]))

    def on_response(self, head: ResponseHead | None, body: bytes, ended: bool) -> None:
        """Pass on a part of the response: head and first bytes in one write."""
        data = b""
        if head is not None:
            self.phase = Phase.RECEIVE
            data = self._response_head(head)
        if self._timer is not None:
            self._last_byte = self._plane.loop.time()
        if self._chunked:
            if body:
                data += b"%x\r\n%b\r\n" % (len(body), body)
            if ended:
                data += b"0\r\n\r\n"
        elif body:
            data += body
        if data:
            self._client.transport.write(data)
        if ended:
            self._complete()

    def _response_head(self, head: ResponseHead) -> bytes:
        request = cast(RequestHead, self._request.head)
        plane = self._plane
        self._status = head.status
        plane.counters[head.status] += 1
        lines = response_lines(head)
        if plane.rewrites_location and is_redirect(head.status):
            rewrite_location(lines, cast(Target, self._target), plane.rules, request)
        if request.upgrade:
            # An upgrade that was answered with a response: what follows it cannot be told apart.
            self._keep = False
        if head.body is Body.CHUNKED or head.body is Body.UNTIL_CLOSE:
            if request.http10:
                self._keep = False
            else:
                self._chunked = True
                lines.append(b"Transfer-Encoding: chunked")
        if not self._keep or self._client.closing:
            self._keep = False
            lines.append(b"Connection: close")
        elif request.http10:
            lines.append(b"Connection: keep-alive")
        lines.append(b"\r\n")
        return b"\r\n".join(lines)

    def on_client_writable(self, writable: bool) -> None:
        """Slow the target down while the client does not take the response fast enough."""
        connection = self._connection
        if connection is not None:
            if writable:
                connection.transport.resume_reading()
            else:
                connection.transport.pause_reading()

    def on_switched(self, head: ResponseHead, leftover: bytes) -> None:
        """101: hand both transports to a tunnel."""
        connection = cast(UpstreamConnection, self._connection)
        request = cast(RequestHead, self._request.head)
        if not request.upgrade:
            connection.abort()
            self._fail(UpstreamError("the target switched protocols without being asked"))
            return
        self._plane.counters[101] += 1
        self._finish()
        client = self._client.detach()
        lines = response_lines(head)
        named = dict((name.lower(), value) for name, value in head.headers)
        lines.append(b"Connection: Upgrade")
        lines.append(b"Upgrade: " + named.get(b"upgrade", request.upgrade))
        client.write(b"\r\n".join([*lines, b"\r\n"]))
        first = (self._request.leftover, leftover)
        entry = cast(RouteEntry, self._entry)
        websocket = request.upgrade.lower() == b"websocket"
        self._plane.open_tunnel(entry, websocket, (client, connection.detach()), first)

    # --- timeouts --------------------------------------------------------------------------

    def _watch(self) -> None:
        loop = self._plane.loop
        self._last_byte = loop.time()
        timeout = cast(float, self._plane.response_timeout)
        self._timer = loop.call_later(timeout, self._on_silence)

    def _on_silence(self) -> None:
        loop = self._plane.loop
        due = self._last_byte + cast(float, self._plane.response_timeout)
        if loop.time() < due:
            self._timer = loop.call_at(due, self._on_silence)
        elif self._connection is not None:
            self._connection.abort()
            self._connection = None
            self._fail(UpstreamTimeoutError(f"{cast(Target, self._target).peer} is silent"))

    # --- finish ----------------------------------------------------------------------------

    def on_upstream_lost(self, error: UpstreamError) -> None:
        """Try once more if nothing can have been lost, else fail."""
        self._connection = None
        if isinstance(error, StaleConnectionError) and not self._body_sent and self._attempts < 2:
            self._connect()
        else:
            self._fail(error)

    def on_client_lost(self) -> None:
        """Abort the request to the target: nobody waits for its answer."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()
        self._finish()

    def _complete(self) -> None:
        """The response has ended: give the connection back if the request had ended as well."""
        connection, self._connection = self._connection, None
        if connection is not None:
            if not self._client.writable:
                connection.transport.resume_reading()
            if self._request.ended:
                self._plane.pool.put(connection)
            else:
                connection.abort()
        if self._status < 300 and self._entry is not None:
            self._entry.touch()
        self._finish()
        self._client.done(self._keep)

    def _fail(self, error: HubgateError) -> None:
        """Answer with the error's status if nothing was answered yet, else break off."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()
        if self.phase is Phase.FINISH:
            return
        self._log(error)
        if self.phase is Phase.RECEIVE:
            self._finish()
            self._client.abort()
            return
        self._plane.counters[error.status] += 1
        head = self._request.head
        pages = self._plane.error_pages
        if error.side is Side.DOWNSTREAM and error.status != 404:
            self._keep = False
        if head is not None and head.upgrade:
            self._keep = False
            self._answer(error.status, error_pages.Page(b"", []))
        elif pages.remote and head is not None and self._request.error is None:
            self._finish()
            self._task = spawn(self._answer_remotely(error.status, head.target), "error page")
        else:
            self._answer(error.status, pages.local(error.status))

    async def _answer_remotely(self, status: int, url: bytes) -> None:
        page = await self._plane.error_pages.fetch(status, url)
        self._task = None
        self._answer(status, page)

    def _answer(self, status: int, page: error_pages.Page) -> None:
        """Send a response of our own."""
        head = self._request.head
        self._finish()
        close = not self._keep or self._client.closing or not self._request.ended
        head_only = head is not None and head.method == b"HEAD"
        self._client.transport.write(error_pages.answer(status, page, close, head_only))
        self._client.done(not close)

    def _log(self, error: HubgateError) -> None:
        head = self._request.head
        what = "-" if head is None else f"{head.method.decode()} {_path(head.target)}"
        log.log(
            logging.ERROR if error.status >= 500 else logging.WARNING,
            "%d %s %s",
            error.status,
            what,
            error,
        )

    def _finish(self) -> None:
        self.phase = Phase.FINISH
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        task, self._task = self._task, None
        if task is not None:
            task.cancel()


def _path(target: bytes) -> str:
    """Return a request target fit for a log: without its query, which may hold a token."""
    return target.partition(b"?")[0].decode("latin-1")
