"""One request on its way: match, connect, send, receive, finish."""

from typing import cast

from hubgate.dataplane.downstream.state import Hold
from hubgate.dataplane.forwarding.finish import FINISH, OVER, RECEIVE, SEND, FinishPhase, Phase
from hubgate.dataplane.forwarding.own_responses import HEALTH_PATH, HEALTHY
from hubgate.dataplane.forwarding.response_writer import asked_for, response_lines, switch_bytes
from hubgate.dataplane.forwarding.time_limits import TimeLimits
from hubgate.errors import (
    BadResponseError,
    ConnectError,
    HubgateError,
    StaleConnectionError,
    UpstreamClosedError,
    UpstreamError,
)
from hubgate.http1.message import CHUNKED, IDEMPOTENT, NO_BODY, UNTIL_CLOSE, Bytes, chunk
from hubgate.http1.response import ResponseHead
from hubgate.routing.table import RouteEntry
from hubgate.routing.target import Target
from hubgate.tasks import spawn
from hubgate.transport.bounded_reads import keep_lent
from hubgate.upstream.connection import UpstreamConnection

# A client that waits for 100 Continue is told to go on after this many seconds: some targets, and
# all HTTP/1.0 ones, never send it.
_CONTINUE_AFTER = 1.0
# Methods that change nothing at the target (RFC 9110, section 9.2.1).
_SAFE = frozenset((b"GET", b"HEAD", b"OPTIONS"))
# From this size on, a body is not copied to join it with its head.
_LARGE = 1 << 12


class Exchange(FinishPhase):
    """Forwards one request of a client and returns the response."""

    __slots__ = ()

    # --- match -----------------------------------------------------------------------------

    def start(self) -> None:
        """Find the route and send the request on its way."""
        head = self._request.head
        if head is None or self._request.error is not None:
            self._fail(self._request.error or HubgateError("no request"))
            return
        self._head = head
        self._keep = head.keep_alive and not self._client.closing
        services, connector = self._services, self._services.connector
        if head.target == HEALTH_PATH and not head.upgrade:
            self._answer(200, HEALTHY)
            return
        if head.upgrade:
            services.counters.requests_ws += 1
        else:
            services.counters.requests_web += 1
        try:
            entry, target = services.matcher.match(head, services.limits)
        except HubgateError as error:
            self._fail(error)
            return
        entry.requests += 1
        self._entry, self._target = entry, target
        once = head.body is not NO_BODY or head.method not in IDEMPOTENT or head.upgrade
        connection = (connector.take_verified if once else connector.take)(target.peer)
        if connection is None and (outage := connector.outage(target.peer)) is not None:
            self._refuse(outage)
            return
        try:
            writer = services.request_writer
            self._opening = writer.opening(self._client, self._request, entry, target)
        except HubgateError as error:
            if connection is not None:
                connector.give_back(connection)
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
            connection = await self._services.connector.connect(peer, patient)
        except ConnectError as error:
            self._task = None
            self._fail(error)
            return
        self._task = None
        if self.phase in OVER:
            connection.abort()
        else:
            self._send(connection)

    # --- send ------------------------------------------------------------------------------

    def _send(self, connection: UpstreamConnection) -> None:
        self.phase = SEND
        self._connection = connection
        self._attempts += 1
        request = self._request
        body = b"" if self._head.body is NO_BODY else self._body()
        connection.begin(self, self._opening, self._head.method == b"HEAD", body)
        if not self._client.writable:
            connection.pause()
        if self._services.has_time_limits and self._time_limits is None:
            self._time_limits = TimeLimits(
                self._services.loop, self._services.timeouts, self._on_expired
            )
        if not request.ended:
            self._client.unhold(Hold.CONNECTING)
            if self._head.expects:
                self._services.loop.call_later(_CONTINUE_AFTER, self._send_continue)

    def _body(self) -> Bytes:
        """Take what has arrived of the request's body, framed for the target."""
        request = self._request
        data = request.take()
        if data:
            if self._record is not None:
                self._record.received += len(data)
            self._body_sent = True
            cast(RouteEntry, self._entry).touch()
        if self._head.body is CHUNKED:
            data = chunk(data, request.ended)
        self._body_ended = request.ended
        return data

    def on_request_data(self) -> None:
        """Pass on what has arrived of the body."""
        request = self._request
        if request.error is not None:
            self._fail(request.error)
            return
        if self._time_limits is not None:
            self._time_limits.moved()
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
        """Pass on a 1xx; HTTP/1.0 has none."""
        if self._head.http10 or (head.status == 100 and self._continued):
            return
        self._continued = self._continued or head.status == 100
        self._client.transport.write(b"\r\n".join([*response_lines(head), b"\r\n"]))

    def _send_continue(self) -> None:
        """Send 100 Continue ourselves to a client whose target does not."""
        if self.phase is SEND and not self._continued:
            self._continued = True
            self._client.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_response(self, head: ResponseHead | None, body: Bytes, ended: bool) -> None:
        """Pass on a part of the response: head and first bytes in one write."""
        if self._time_limits is not None:
            self._time_limits.moved()
        opening = b""
        if head is not None:
            self.phase = RECEIVE
            opening = self._response_head(head)
        if self._record is not None:
            self._record.sent += len(body)
        if self._chunked:
            body = chunk(body, ended)
        transport = self._client.transport
        if opening and len(body) >= _LARGE:
            transport.writelines((opening, body))
        elif opening:
            transport.write(opening + body)
        elif body:
            transport.write(body)
            if type(body) is memoryview and transport.get_write_buffer_size():
                keep_lent()
        if ended:
            self._complete()

    def _response_head(self, head: ResponseHead) -> bytes:
        request, services = self._head, self._services
        self._status = head.status
        services.counters.responses[head.status] += 1
        # After an upgrade that got a normal response, what follows is ambiguous; after a response
        # that precedes the end of the body, the rest of the body would precede the next request.
        if request.upgrade or not self._request.ended or self._client.closing:
            self._keep = False
        if head.body is CHUNKED or head.body is UNTIL_CLOSE:
            self._chunked = not request.http10
            self._until_close = request.http10
            self._keep = self._keep and self._chunked
        target = cast(Target, self._target)
        return services.response_writer.opening(head, request, target, self._chunked, self._keep)

    def on_client_writable(self, writable: bool) -> None:
        """Slow the target down while the client does not take the response fast enough."""
        connection = self._connection
        if connection is not None:
            if writable:
                connection.resume()
            else:
                connection.pause()

    def on_switched(self, head: ResponseHead, leftover: bytes) -> None:
        """101: hand both transports to a tunnel."""
        connection = cast(UpstreamConnection, self._connection)
        request = self._head
        if not asked_for(head, request):
            self._fail(BadResponseError("the target switched to a protocol that was not requested"))
            return
        self._services.counters.responses[101] += 1
        self._client.transport.write(switch_bytes(head))
        self._connection = None
        self._leave(FINISH)
        if self._record is not None:
            self._complete_record(self._record, 101)
        first = (self._client.leftover, leftover)
        entry = cast(RouteEntry, self._entry)
        websocket = request.upgrade.lower() == b"websocket"
        self._services.open_tunnel(
            entry, self._client, websocket, connection.detach(), first, self._record
        )

    # --- finish ----------------------------------------------------------------------------

    def on_upstream_lost(self, error: UpstreamError) -> None:
        """Try once more if nothing can have been lost, and nothing can be done twice; else fail.

        An upgrade is a GET, but what it begins need not be idempotent: it is not sent twice.
        """
        self._connection = None
        if isinstance(error, StaleConnectionError) and not self._body_sent and self._attempts < 2:
            method = self._head.method
            if method in IDEMPOTENT and not self._head.upgrade:
                self._connect()
                return
            # Whether it read the request, and acted on it, nobody can tell.
            why = f"{error}, and a {method.decode()} is not sent a second time"
            error = UpstreamClosedError(why)
        self._fail(error)
