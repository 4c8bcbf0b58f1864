"""What an exchange needs from the data plane around it."""

import asyncio
from typing import Protocol

from hubgate.dataplane.access_log.log import AccessLog
from hubgate.dataplane.access_log.record import Record
from hubgate.dataplane.counters import Counters
from hubgate.dataplane.downstream.connection import DownstreamConnection
from hubgate.dataplane.error_log import ErrorLog
from hubgate.dataplane.forwarding.error_pages import ErrorPages
from hubgate.dataplane.forwarding.match import Matcher
from hubgate.dataplane.forwarding.request_writer import RequestWriter
from hubgate.dataplane.forwarding.response_writer import ResponseWriter
from hubgate.dataplane.forwarding.trust import Trust
from hubgate.model import Limits, Timeouts
from hubgate.routing.table import RouteEntry
from hubgate.upstream.connector import Connector


class Services(Protocol):
    """What decides, connects and records; a reload may replace any of it.

    `request_log` is None if no request is logged; `has_time_limits` is whether any of `timeouts`
    needs watching from within an exchange.
    """

    loop: asyncio.AbstractEventLoop
    timeouts: Timeouts
    limits: Limits
    has_time_limits: bool
    matcher: Matcher
    connector: Connector
    trust: Trust
    request_writer: RequestWriter
    response_writer: ResponseWriter
    error_pages: ErrorPages
    counters: Counters
    error_log: ErrorLog
    request_log: AccessLog | None

    def open_tunnel(
        self,
        entry: RouteEntry,
        client: DownstreamConnection,
        websocket: bool,
        target: asyncio.Transport,
        first: tuple[bytes, bytes],
        record: Record | None,
    ) -> None:
        """Join client and target; `first` holds bytes already read from them.

        `record`, if there is one, is completed and logged when the tunnel ends.
        """
