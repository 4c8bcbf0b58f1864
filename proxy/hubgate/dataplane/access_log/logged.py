"""Exchanges and tunnels that leave a line in the access log when they end."""

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from hubgate.dataplane.access_log.log import AccessLog
from hubgate.dataplane.access_log.record import Record
from hubgate.dataplane.downstream.connection import Downstream
from hubgate.dataplane.forwarding.answers import Page
from hubgate.dataplane.forwarding.exchange import Exchange
from hubgate.dataplane.forwarding.time_limits import Expired
from hubgate.dataplane.tunnels.tunnel import End, State, Tunnel
from hubgate.errors import ConnectError, HubgateError
from hubgate.http1.message import Bytes
from hubgate.http1.reader import Incoming
from hubgate.http1.response import ResponseHead

if TYPE_CHECKING:
    from hubgate.dataplane.plane import DataPlane

# The client left before there was an answer: nginx's number, which no client ever gets.
CLIENT_LEFT = 499


class LoggedExchange(Exchange):
    """An exchange that counts its bytes and is logged once, however it ends."""

    __slots__ = ("_record",)

    def __init__(self, plane: "DataPlane", client: Downstream, request: Incoming) -> None:
        # Named instead of super(), here and below, where it is called for each request: faster.
        Exchange.__init__(self, plane, client, request)
        self._record = Record(time.monotonic())

    def _body(self) -> Bytes:
        self._record.received += sum(map(len, self._request.chunks))
        return super()._body()

    def on_response(self, head: ResponseHead | None, body: Bytes, ended: bool) -> None:
        """Pass on a part of the response, counted; the last one is an end."""
        self._record.sent += len(body)
        if ended:
            # Before the next request on the connection is served, which may be done at once.
            self._log(self._status if head is None else head.status)
        Exchange.on_response(self, head, body, ended)

    # --- other ends --------------------------------------------------------------------------

    def _answer(self, status: int, page: Page) -> None:
        head = self._request.head
        bodiless = head is not None and head.method == b"HEAD"
        self._record.sent = 0 if bodiless else len(page.body)
        self._log(status)
        super()._answer(status, page)

    def on_client_lost(self) -> None:
        """Log what has been sent until then: the client left, or we broke its connection."""
        super().on_client_lost()
        if self._record.error is None:
            self._record.error = "the client's connection ended before the answer did"
        self._log(self._status or CLIENT_LEFT)

    def on_switched(self, head: ResponseHead, leftover: bytes) -> None:
        """Leave it to the tunnel, which has the transport now, to log its end."""
        super().on_switched(head, leftover)
        end = self._client.transport.get_protocol()
        if isinstance(end, CountingEnd):
            self._log(101, partial(end.tunnel.follow, self._plane.access_log))

    # --- why it ended ------------------------------------------------------------------------

    def _refuse(self, error: ConnectError) -> None:
        self._record.error = error
        super()._refuse(error)

    def _fail(self, error: HubgateError) -> None:
        if self._record.error is None:
            self._record.error = error
        super()._fail(error)

    def _on_expired(self, limit: Expired) -> None:
        if limit is Expired.REQUEST:
            self._record.error = limit.value
        super()._on_expired(limit)

    # --- what is told ------------------------------------------------------------------------

    def _log(self, status: int, take: Callable[[Record], None] | None = None) -> None:
        """Hand the record on, to the log itself unless something else is to `take` it."""
        record = self._record
        if record.status:
            return
        record.status = status
        record.head = head = self._request.head
        record.peer = self._client.peer
        record.entry = self._entry
        record.forwarded = None
        if head is not None and head.forwarded and self._plane.believes(self._client):
            record.forwarded = head.forwarded.get(b"x-forwarded-for")
        (take or self._plane.access_log.add)(record)


class LoggedTunnel(Tunnel):
    """A tunnel that counts its bytes and is logged when both sides are closed."""

    __slots__ = ("_log", "_record")

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._record: Record | None = None

    @property
    def end_kind(self) -> "type[End]":
        """What each side is."""
        return CountingEnd

    def follow(self, log: AccessLog, record: Record) -> None:
        """Go on with the record of the request that asked for the tunnel."""
        self._log, self._record = log, record

    def lost(self, end: End) -> None:
        """One side's connection is gone."""
        ends = self._ends  # a tunnel that is closed has none
        super().lost(end)
        if self.state is State.CLOSED and (record := self._record) is not None:
            self._record = None
            client, target = cast("tuple[CountingEnd, CountingEnd]", ends)
            record.received, record.sent = client.passed, target.passed
            self._log.add(record)


class CountingEnd(End):
    """One side of a tunnel; `passed` counts the bytes that went from here to the other side."""

    __slots__ = ("passed",)

    tunnel: LoggedTunnel

    def __init__(self, tunnel: Tunnel, websocket: bool, close_frame: bytes) -> None:
        super().__init__(tunnel, websocket, close_frame)
        self.passed = 0

    def data_received(self, data: bytes) -> None:
        if not self.silent:
            self.passed += len(data)
        super().data_received(data)
