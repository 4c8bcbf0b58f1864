"""One request on its way: match, connect, send, receive, finish."""

import asyncio
from enum import Enum
from typing import TYPE_CHECKING, cast

from hubgate.dataplane.downstream.connection import Downstream, Hold
from hubgate.dataplane.forwarding.answers import HEALTH, HEALTHY, Page, answer
from hubgate.dataplane.forwarding.response_writer import (
    asked_for,
    is_redirect,
    response_bytes,
    response_lines,
    rewrite_location,
    switch_bytes,
)
from hubgate.dataplane.forwarding.time_limits import Expired, Watch
from hubgate.errors import (
    BadResponseError,
    ConnectError,
    HubgateError,
    StaleConnectionError,
    UpstreamError,
    UpstreamTimeoutError,
)
from hubgate.http1.message import CHUNKED, NO_BODY, UNTIL_CLOSE, Bytes, chunk
from hubgate.http1.reader import Incoming
from hubgate.http1.request import RequestHead
from hubgate.http1.response import ResponseHead
from hubgate.routing.table import RouteEntry
from hubgate.routing.target import Target
from hubgate.tasks import spawn
from hubgate.transport.flow import pause_reading, resume_reading
from hubgate.upstream.connection import UpstreamConnection

if TYPE_CHECKING:
    from hubgate.dataplane.plane import DataPlane

# A client that waits for 100 Continue is let go on after this many seconds: some targets, and
# all of HTTP/1.0, never say it.
_CONTINUE_AFTER = 1.0
# Methods that change nothing at the target (RFC 9110, section 9.2.1).
_SAFE = frozenset((b"GET", b"HEAD", b"OPTIONS"))


class Phase(Enum):
    """Where a request is; FINISH always comes, once."""

    MATCH = "match"
    CONNECT = "connect"
    SEND = "send"
    RECEIVE = "receive"
    FINISH = "finish"


# Python 3.11 looks an Enum's member up in a dictionary each time: too slow for each request.
_MATCH, _SEND, _RECEIVE, _FINISH = Phase.MATCH, Phase.SEND, Phase.RECEIVE, Phase.FINISH
# A body is not copied to stand behind its head from this size on.
_LARGE = 1 << 12


class Exchange:
    """Forwards one request of `client` and brings the response back."""

    __slots__ = (
        "_attempts",
        "_body_ended",
        "_body_sent",
        "_chunked",
        "_client",
        "_connection",
        "_continued",
        "_entry",
        "_head",
        "_keep",
        "_opening",
        "_plane",
        "_request",
        "_status",
        "_target",
        "_task",
        "_watch",
        "phase",
    )

    def __init__(self, plane: "DataPlane", client: Downstream, request: Incoming) -> None:
        self.phase = _MATCH
        self._plane = plane
        self._client = client
        self._request = request
        self._head: RequestHead
        self._connection: UpstreamConnection | None = None
        self._entry: RouteEntry | None = None
        self._target: Target | None = None
        self._task: asyncio.Task[None] | None = None
        self._watch: Watch | None = None
        self._opening = b""
        self._status = 0
        self._attempts = 0
        self._body_sent = False
        self._body_ended = False
        self._chunked = False
        self._continued = False
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
        self._head = head
        self._keep = head.keep_alive and not self._client.closing
        plane = self._plane
        if head.target == HEALTH and not head.upgrade:
            self._answer(200, HEALTHY)
            return
        if head.upgrade:
            plane.requests_ws += 1
        else:
            plane.requests_web += 1
        try:
            entry, target = plane.matcher.match(head, plane.limits)
        except HubgateError as error:
            self._fail(error)
            return
        entry.requests += 1
        self._entry, self._target = entry, target
        take = plane.pool.take if head.body is NO_BODY else plane.connector.take_surely
        connection = take(target.peer)
        if connection is None and (outage := plane.connector.outage(target.peer)) is not None:
            self._refuse(outage)
            return
        try:
            writer = plane.request_writer
            self._opening = writer.opening(self._client, self._request, entry, target)
        except HubgateError as error:
            if connection is not None:
                plane.connector.give_back(connection)
            self._fail(error)
            return
        if connection is not None:
            self._send(connection)
        else:
            self._connect()

    # --- connect ---------------------------------------------------------------------------

    def _connect(self) -> None:
        self.phase = Phase.CONNECT
        if not self._request.ended:
            self._client.hold(Hold.CONNECTING)
        self._task = spawn(self._open_connection(), "connect upstream")

    async def _open_connection(self) -> None:
        patient = self._head.method in _SAFE or bool(self._head.upgrade)
        try:
            peer = cast(Target, self._target).peer
            connection = await self._plane.connector.connect(peer, patient)
        except ConnectError as error:
            self._task = None
            self._fail(error)
            return
        self._task = None
        if self.phase is _FINISH:
            connection.abort()
        else:
            self._send(connection)

    # --- send ------------------------------------------------------------------------------

    def _send(self, connection: UpstreamConnection) -> None:
        self.phase = _SEND
        self._connection = connection
        self._attempts += 1
        request = self._request
        body = b"" if self._head.body is NO_BODY else self._body()
        connection.begin(self, self._opening, self._head.method == b"HEAD", body)
        if not self._client.writable:
            pause_reading(connection.transport)
        if self._plane.watches and self._watch is None:
            self._watch = Watch(self._plane.loop, self._plane.timeouts, self._on_expired)
        if not request.ended:
            self._client.unhold(Hold.CONNECTING)
            if self._head.expects:
                self._plane.loop.call_later(_CONTINUE_AFTER, self._tell_to_go_on)

    def _body(self) -> Bytes:
        """Take what arrived of the request's body, in the framing that goes to the target."""
        request = self._request
        data = request.take()
        if data:
            self._body_sent = True
            cast(RouteEntry, self._entry).touch()
        if self._head.body is CHUNKED:
            data = chunk(data, request.ended)
        self._body_ended = request.ended
        return data

    def on_request_data(self) -> None:
        """Pass on what came of the body."""
        request = self._request
        if request.error is not None:
            self._fail(request.error)
            return
        if self._watch is not None:
            self._watch.moved()
        # Bytes that come after the body's end belong to the next request.
        if self._connection is not None and not self._body_ended:
            head = self._head
            if head.body is not NO_BODY and not head.upgrade and (data := self._body()):
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
        if self._head.http10 or (head.status == 100 and self._continued):
            return
        self._continued = self._continued or head.status == 100
        self._client.transport.write(b"\r\n".join([*response_lines(head), b"\r\n"]))

    def _tell_to_go_on(self) -> None:
        """Say 100 Continue ourselves to a client whose target does not."""
        if self.phase is _SEND and not self._continued:
            self._continued = True
            self._client.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_response(self, head: ResponseHead | None, body: Bytes, ended: bool) -> None:
        """Pass on a part of the response: head and first bytes in one write."""
        if self._watch is not None:
            self._watch.moved()
        opening = b""
        if head is not None:
            self.phase = _RECEIVE
            opening = self._response_head(head)
        if self._chunked:
            body = chunk(body, ended)
        transport = self._client.transport
        if opening and len(body) >= _LARGE:
            transport.writelines((opening, body))
        elif opening or body:
            transport.write(opening + body)
        if ended:
            self._complete()

    def _response_head(self, head: ResponseHead) -> bytes:
        request, plane = self._head, self._plane
        self._status = head.status
        plane.statuses[head.status] += 1
        # After an upgrade that was answered with a response, what follows cannot be told apart;
        # after a body that nobody waits for, its rest would stand before the next request.
        if request.upgrade or not self._request.ended or self._client.closing:
            self._keep = False
        if head.body is CHUNKED or head.body is UNTIL_CLOSE:
            self._chunked = not request.http10
            self._keep = self._keep and self._chunked
        if head.raw and not request.http10 and not plane.rewrites_location:
            return head.raw if self._keep else head.raw[:-2] + b"Connection: close\r\n\r\n"
        lines = response_lines(head)
        if plane.rewrites_location and is_redirect(head.status):
            rewrite_location(lines, cast(Target, self._target), plane.rules, request)
        return response_bytes(lines, request, self._chunked, self._keep)

    def on_client_writable(self, writable: bool) -> None:
        """Slow the target down while the client does not take the response fast enough."""
        connection = self._connection
        if connection is not None:
            if writable:
                resume_reading(connection.transport)
            else:
                pause_reading(connection.transport)

    def on_switched(self, head: ResponseHead, leftover: bytes) -> None:
        """101: hand both transports to a tunnel."""
        connection = cast(UpstreamConnection, self._connection)
        request = self._head
        if not asked_for(head, request):
            self._fail(BadResponseError("the target switched to a protocol nobody asked for"))
            return
        self._plane.statuses[101] += 1
        self._client.transport.write(switch_bytes(head))
        self._connection = None
        self._finish()
        first = (self._request.leftover, leftover)
        entry = cast(RouteEntry, self._entry)
        websocket = request.upgrade.lower() == b"websocket"
        self._plane.open_tunnel(entry, self._client, websocket, connection.detach(), first)

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
                resume_reading(connection.transport)
            if not self._request.ended or not self._plane.pool.put(connection):
                connection.abort()
        if self._status < 300 and self._entry is not None:
            self._entry.touch()
        self._finish()
        self._client.done(self._keep)

    def _on_expired(self, limit: Expired) -> None:
        if limit is Expired.RESPONSE and not self._client.writable:
            # It is the client that does not read: the target gets its time again.
            cast(Watch, self._watch).renew()
        elif limit is Expired.REQUEST:
            # As a socket's own timeout does: the connection is dropped, not answered.
            self._plane.note_dropped(limit.value, self._head, self._entry)
            self._client.abort()
        else:
            self._fail(UpstreamTimeoutError(f"{cast(Target, self._target).peer}: {limit.value}"))

    def _refuse(self, error: ConnectError) -> None:
        """Answer for a target that is known to be down: many may ask, so it must cost little."""
        page = self._plane.error_pages.at_hand(error.status, self._head)
        if page is None or self._head.upgrade:
            self._fail(error)
        else:
            self._plane.note_error(error, self._head, self._entry)
            self._answer(error.status, page)

    def _fail(self, error: HubgateError) -> None:
        """Answer with the error's status if nothing was answered yet, else break off."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()
        if self.phase is _FINISH:
            return
        head = self._request.head
        self._plane.note_error(error, head, self._entry)
        if self.phase is _RECEIVE:
            self._finish()
            self._client.abort()
            return
        self._keep = self._keep and (head is not None and not head.upgrade) and error.keeps_client
        pages = self._plane.error_pages
        if head is None or not pages.remote or head.upgrade or self._request.error is not None:
            self._answer(error.status, pages.local(error.status, head))
        else:
            self._finish()
            if not self._request.ended:
                self._client.hold(Hold.CONNECTING)
            self._task = spawn(self._answer_remotely(error.status, head), "error page")

    async def _answer_remotely(self, status: int, head: RequestHead) -> None:
        page = await self._plane.error_pages.fetch(status, head)
        self._task = None
        self._answer(status, page)

    def _answer(self, status: int, page: Page) -> None:
        """Send a response of our own."""
        request, client = self._request, self._client
        self._finish()
        close = not self._keep or client.closing or not request.ended
        head_only = request.head is not None and request.head.method == b"HEAD"
        client.transport.write(answer(status, page, close, head_only))
        client.done(not close)

    def _finish(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if self._entry is not None and self.phase is not _FINISH:
            self._entry.requests -= 1
        self.phase = _FINISH
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
