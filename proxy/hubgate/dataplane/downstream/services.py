"""What a client's connection needs from the data plane around it."""

import asyncio
from typing import Any, Protocol, TypeVar

from hubgate.errors import HubgateError
from hubgate.http1.fast_path import HeaderBlocks
from hubgate.http1.reader import IncomingRequest
from hubgate.model import Limits, Timeouts
from hubgate.routing.table import RouteEntry
from hubgate.transport.admission import Admission
from hubgate.transport.turns import Turns

Client = TypeVar("Client", contravariant=True)


class Stream(Protocol):
    """What handles one request of a client: the data plane's Exchange."""

    def start(self) -> None:
        """Begin: the request's head has arrived, perhaps its body too."""

    def on_request_data(self) -> None:
        """More of the body arrived, or its end, or its error."""

    def on_client_lost(self) -> None:
        """The client is gone: stop everything, send nothing."""

    def cut_off(self, error: HubgateError) -> RouteEntry | None:
        """End, as nothing is left of the time to finish; return the route of the request."""

    def on_client_writable(self, writable: bool) -> None:
        """The client's write buffer passed its high (False) or low (True) mark."""


class DownstreamServices(Protocol[Client]):
    """What decides and limits; a reload may replace any of it."""

    limits: Limits
    header_blocks: HeaderBlocks
    timeouts: Timeouts
    admission: Admission
    turns: Turns

    def open_stream(self, client: Client, request: IncomingRequest) -> Stream:
        """Return the stream that will handle `request`."""


class ConnectionServer(Protocol[Client]):
    """The server that keeps a port's connections: aiohttp's, with our own services."""

    loop: asyncio.AbstractEventLoop

    @property
    def plane(self) -> DownstreamServices[Client]:
        """What serves the connections."""

    def connection_made(self, handler: Any, transport: asyncio.Transport) -> None:
        """Keep a connection."""

    def connection_lost(self, handler: Any, exc: BaseException | None = None) -> None:
        """Forget a connection that was kept."""
