"""aiohttp's low-level server, whose connections are our own."""

import asyncio
from collections.abc import Sequence
from typing import cast

from aiohttp import web

from hubgate.dataplane.downstream.connection import DownstreamConnection
from hubgate.dataplane.downstream.services import DownstreamServices

# A connection without a request has so many seconds before it may make room for others.
NEW = 2.0


class DownstreamServer(web.Server):
    """aiohttp's low-level server; its connections are `DownstreamConnection`s."""

    def __init__(self, plane: DownstreamServices[DownstreamConnection]) -> None:
        super().__init__(_unused_handler)
        self.plane = plane
        self.loop = asyncio.get_running_loop()
        plane.admission.guests = self

    def __call__(self) -> DownstreamConnection:
        return DownstreamConnection(self)

    @property
    def clients(self) -> Sequence[DownstreamConnection]:
        """The open connections, tunnels excepted, as a new list."""
        return cast(Sequence[DownstreamConnection], self.connections)

    def spares(self, newcomer: object) -> list[DownstreamConnection]:
        """Return those that may be closed for `newcomer` now, first those to be closed first.

        That is those that no request has been forwarded for, unless they are new; if there are
        none, those idle after a request, longest first; and if there are none, the new ones.
        """
        clients = (each for each in self.clients if each is not newcomer)
        idle = [each for each in clients if each.spare and each.server is self]
        unused = [each for each in idle if each.origin is None]
        old = [each for each in unused if each.idle_since <= self.loop.time() - NEW]
        used = sorted((each for each in idle if each.origin), key=lambda each: each.deadline)
        return old or used or unused


async def _unused_handler(request: web.BaseRequest) -> web.StreamResponse:
    raise web.HTTPInternalServerError  # DownstreamConnection answers everything itself
