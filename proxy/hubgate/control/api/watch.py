"""GET /api/watch: the table, then each change of it, as server-sent events.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from itertools import islice

from aiohttp import web

from hubgate.control.api.request_path import split_target
from hubgate.control.api.table_json import ROUTES_PER_SLICE, encoded, stored_member
from hubgate.control.routes.change_log import LoggedChange, MissedError, Revision
from hubgate.control.routes.service import RouteService
from hubgate.control.web.auth import caller_of
from hubgate.control.web.guard import Guard
from hubgate.control.web.pages import by_method
from hubgate.control.web.responses import Handler, plain
from hubgate.model import Route

MOST = 100
"""Watchers at a time; the next gets 503."""

SILENCE = 15.0
"""Seconds after which a comment shows the client, and what is between, that we are still there."""

_HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would wait for more
}

_TOO_SLOW = "you read too slowly: the changes that you missed are no longer known; come back"
_LEAVING = "hubgate is ending or being upgraded; come back"
_REFUSED = "the token is no longer accepted"


def watch_page(service: RouteService, guard: Guard) -> Handler:
    """Return the page; it ends every response once `service.changes` is closed."""
    watchers: set[Watcher] = set()

    async def get(request: web.Request) -> web.StreamResponse:
        if service.changes.closed:
            return plain(503, _LEAVING)
        if sum(each.connected for each in watchers) >= MOST:
            return plain(503, f"there are {MOST} watchers already; try again later")

        async def refused() -> bool:
            return await guard.refuse(request) is not None

        watcher = Watcher(service, request)
        watchers.add(watcher)
        try:
            await watcher.run(refused)
        except ConnectionError:
            request.protocol.force_close()  # the client left
        finally:
            watchers.discard(watcher)
        return watcher.response

    return by_method({"GET": get})


class Watcher:
    """One client: how far it is in the log of changes, which all share, is all that is held."""

    def __init__(self, service: RouteService, request: web.Request) -> None:
        self.response = web.StreamResponse(headers=_HEADERS)
        self.response.force_close()
        self._service = service
        self._log = service.changes
        self._request = request
        self._scope = caller_of(request).scope
        path = split_target(request.raw_path)
        # A client that comes back by itself sends the header: it is newer than its URL.
        self._since = request.headers.get("Last-Event-ID") or path.query.get("since", "")
        self._seen = self._log.revision
        self._clock = asyncio.get_running_loop().time
        self._written = self._clock()

    def __repr__(self) -> str:
        return f"<Watcher at {self._seen}>"

    @property
    def connected(self) -> bool:
        """Whether the client is still there, as far as is known."""
        transport = self._request.transport
        return transport is not None and not transport.is_closing()

    async def run(self, refused: Callable[[], Awaitable[bool]]) -> None:
        """Send events until the client leaves, or is told to; `refused` is asked now and then."""
        await self.response.prepare(self._request)
        await self._begin()
        while True:
            await self._log.wait(self._seen, max(0.0, self._spoke_until - self._clock()))
            if self._log.closed:
                return await self._end(_LEAVING)
            if await refused():
                return await self._end(_REFUSED)
            if caller_of(self._request).scope != self._scope:  # a reload gave it another
                self._scope = caller_of(self._request).scope
                await self._send_table("reset")
                continue
            try:
                changes = self._log.after(self._seen)
            except MissedError as error:
                if error.too_slow:
                    return await self._end(_TOO_SLOW)
                await self._send_table("reset")
                continue
            for change in changes:
                await self._send(change)
            if self._clock() >= self._spoke_until:  # also of changes that our client may not see
                await self._write(b":\n\n")

    @property
    def _spoke_until(self) -> float:
        """When a comment is due, as nothing else was sent since."""
        return self._written + SILENCE

    async def _begin(self) -> None:
        seen = Revision.parsed(self._since)
        try:
            if seen is None:
                raise MissedError(too_slow=False)
            self._log.after(seen)
        except MissedError:
            await self._send_table("reset" if self._since else "table")
        else:
            self._seen = seen
            await self._write(b":\n\n")

    async def _send_table(self, event: str) -> None:
        self._seen, routes = self._log.revision, self._service.shown()
        await self._write(_head(self._seen, event) + b"data: {\n")
        first = True
        while part := list(islice(routes, ROUTES_PER_SLICE)):
            if members := self._members(part):
                await self._write(b"data: " + (b"" if first else b",") + members + b"\n")
                first = False
            await asyncio.sleep(0)  # write() alone does not yield while the socket takes everything
        await self._write(b"data: }\n\n")

    async def _send(self, change: LoggedChange) -> None:
        # Bounded: of a change with more routes the log knows only that there was one.
        scope, put = self._scope, self._members(change.put)
        delete = [scope.outward(key) for key in change.delete if scope.sees(key)]
        self._seen = change.revision
        if put or delete:
            data = b'data: {"put":{' + put + b'},"delete":' + encoded(delete) + b"}\n\n"
            await self._write(_head(change.revision, "change") + data)

    def _members(self, routes: Iterable[Route]) -> bytes:
        """Return the routes that our client may see, as one line of data: it joins those."""
        scope = self._scope
        return b",".join(stored_member(r, scope.outward) for r in routes if scope.sees(r.key))

    async def _end(self, reason: str) -> None:
        await self._write(b"event: end\ndata: " + encoded({"reason": reason}) + b"\n\n")
        await self.response.write_eof()

    async def _write(self, text: bytes) -> None:
        await self.response.write(text)
        self._written = self._clock()


def _head(revision: Revision, event: str) -> bytes:
    return f"id: {revision}\nevent: {event}\n".encode()
