"""How a request ends: completed, failed, answered by us or left by its client; always logged."""

import asyncio
import time
from enum import Enum
from typing import cast

from hubgate.dataplane.access_log.record import Record
from hubgate.dataplane.downstream.connection import DownstreamConnection
from hubgate.dataplane.downstream.state import Hold
from hubgate.dataplane.forwarding.own_responses import Page, whole_response
from hubgate.dataplane.forwarding.services import Services
from hubgate.dataplane.forwarding.time_limits import Expired, TimeLimits
from hubgate.errors import ConnectError, HubgateError, UpstreamTimeoutError
from hubgate.http1.reader import IncomingRequest
from hubgate.http1.request import RequestHead
from hubgate.routing.table import RouteEntry
from hubgate.routing.target import Target
from hubgate.tasks import spawn
from hubgate.upstream.connection import UpstreamConnection

# The status that is logged if the client left before there was a response: nginx's number, which
# no client ever gets.
CLIENT_LEFT = 499


class Phase(Enum):
    """Where a request is; FINISH always comes, once.

    ANSWER lasts while an error page is fetched from the error target.
    """

    MATCH = "match"
    CONNECT = "connect"
    SEND = "send"
    RECEIVE = "receive"
    ANSWER = "answer"
    FINISH = "finish"


# Python 3.11 looks up an Enum member in a dictionary every time: too slow for each request.
MATCH, SEND, RECEIVE, FINISH = Phase.MATCH, Phase.SEND, Phase.RECEIVE, Phase.FINISH
ANSWER = Phase.ANSWER
OVER = (ANSWER, FINISH)


class FinishPhase:
    """What an exchange holds, and how it ends: FINISH is the last phase of every request.

    Every way to end goes through `_finish`, once, which releases everything it holds and hands
    the request to the access log.
    """

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
        "_record",
        "_request",
        "_services",
        "_status",
        "_target",
        "_task",
        "_time_limits",
        "_until_close",
        "phase",
    )

    def __init__(
        self, services: Services, client: DownstreamConnection, request: IncomingRequest
    ) -> None:
        self.phase = MATCH
        self._services = services
        self._client = client
        self._request = request
        self._head: RequestHead
        self._connection: UpstreamConnection | None = None
        self._entry: RouteEntry | None = None
        self._target: Target | None = None
        self._task: asyncio.Task[None] | None = None
        self._time_limits: TimeLimits | None = None
        self._opening = b""
        self._status = 0
        self._attempts = 0
        self._body_sent = False
        self._body_ended = False
        self._chunked = False
        # Whether only the connection's end shows where the response ends.
        self._until_close = False
        self._continued = False
        self._keep = True
        self._record = None if services.request_log is None else Record(time.monotonic())

    def __repr__(self) -> str:
        return f"<Exchange {self._request.head} {self.phase.value}>"

    def on_client_lost(self) -> None:
        """Abort the request to the target: its response is no longer wanted."""
        self._abort_upstream()
        self._give_reason("the client's connection ended before the response did")
        self._finish(self._status or CLIENT_LEFT)

    def cut_off(self, error: HubgateError) -> RouteEntry | None:
        """Answer with `error` if no response has begun, else break off; return the route."""
        self._abort_upstream()
        self._give_reason(error)
        if self.phase is RECEIVE:
            self._break_off()
        else:
            if self.phase is not ANSWER:  # whose error is counted
                self._services.counters.responses[error.status] += 1
            self._keep = False
            # Nobody waits for the error target now.
            head = self._request.head
            self._answer(error.status, self._services.error_pages.local(error.status, head))
        return self._entry

    def _complete(self) -> None:
        """The response has ended: give the connection back if the request had ended as well."""
        connection, self._connection = self._connection, None
        if connection is not None:
            if not self._client.writable:
                connection.resume()
            if self._request.ended:
                self._services.connector.give_back(connection)
            else:
                connection.abort()
        if self._status < 300 and self._entry is not None:
            self._entry.touch()
        self._finish(self._status)
        self._client.done(self._keep)

    def _on_expired(self, limit: Expired) -> None:
        if limit is Expired.RESPONSE and not self._client.writable:
            # The client is the one not reading: the target gets its time again.
            cast(TimeLimits, self._time_limits).renew()
        elif limit is Expired.REQUEST:
            # Like a socket timeout: the connection is dropped, not answered.
            self._services.error_log.dropped(limit.value, self._head, self._entry)
            self._give_reason(limit.value)
            self._client.abort()
        else:
            self._fail(UpstreamTimeoutError(f"{cast(Target, self._target).peer}: {limit.value}"))

    def _refuse(self, error: ConnectError) -> None:
        """Answer for a target known to be down: many requests may come, so it must cost little."""
        page = self._services.error_pages.cached(error.status, self._head)
        if page is None or self._head.upgrade:
            self._fail(error)
        else:
            self._report(error)
            self._answer(error.status, page)

    def _fail(self, error: HubgateError) -> None:
        """Answer with the error's status if no response has begun, else break off."""
        self._abort_upstream()
        if self.phase in OVER:
            return
        self._report(error)
        if self.phase is RECEIVE:
            self._break_off()
            return
        head = self._request.head
        self._keep = self._keep and (head is not None and not head.upgrade) and error.keeps_client
        pages = self._services.error_pages
        if head is None or head.upgrade or self._request.error is not None:
            self._answer(error.status, pages.local(error.status, head))
        elif (page := pages.cached(error.status, head)) is not None:
            self._answer(error.status, page)
        else:
            self._leave(ANSWER)
            if not self._request.ended:
                self._client.hold(Hold.CONNECTING)
            self._task = spawn(self._answer_remotely(error.status, head), "error page")

    def _break_off(self) -> None:
        """End in the middle of the response, so that nobody takes it for a whole one."""
        self._finish(self._status)
        if self._until_close:
            self._client.abort()
        else:
            self._client.break_off()

    async def _answer_remotely(self, status: int, head: RequestHead) -> None:
        page = await self._services.error_pages.fetch(status, head)
        self._task = None
        self._answer(status, page)

    def _answer(self, status: int, page: Page) -> None:
        """Send a response of our own."""
        request, client = self._request, self._client
        head = request.head
        close = not self._keep or client.closing or not request.ended or head is None or head.http10
        head_only = head is not None and head.method == b"HEAD"
        if self._record is not None:
            self._record.sent = 0 if head_only else len(page.body)
        self._finish(status)
        client.transport.write(whole_response(status, page, close, head_only))
        client.done(not close)

    def _report(self, error: HubgateError) -> None:
        """Count an error of ours and log it."""
        self._services.counters.responses[error.status] += 1
        self._services.error_log.failed(error, self._request.head, self._entry)
        self._give_reason(error)

    def _give_reason(self, error: HubgateError | str) -> None:
        """Record why the request ended, for the access log; the first reason counts."""
        if self._record is not None and self._record.error is None:
            self._record.error = error

    def _abort_upstream(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()

    def _finish(self, status: int) -> None:
        """End with the status the client got, and log it; only the first call counts."""
        if self.phase is FINISH:
            return
        self._leave(FINISH)
        if self._record is not None and (log := self._services.request_log) is not None:
            self._complete_record(self._record, status)
            log.add(self._record)

    def _leave(self, phase: Phase) -> None:
        """Move on to ANSWER or FINISH: the target's part is done."""
        if self._time_limits is not None:
            self._time_limits.cancel()
            self._time_limits = None
        if self._entry is not None and self.phase is not ANSWER:
            self._entry.requests -= 1
        self.phase = phase
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    def _complete_record(self, record: Record, status: int) -> None:
        client = self._client
        record.status = status
        record.head = head = self._request.head
        record.peer = client.peer
        record.entry = self._entry
        record.forwarded = None
        if head is not None and head.forwarded and self._services.trust.origin(client).trusted:
            record.forwarded = head.forwarded.get(b"x-forwarded-for")
