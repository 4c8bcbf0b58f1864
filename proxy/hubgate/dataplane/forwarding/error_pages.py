"""What a client sees when there is no response from a target."""

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import cast
from urllib.parse import quote

from hubgate.bounded import ByteCache
from hubgate.dataplane.error_log import Sampler, log_sampled
from hubgate.dataplane.forwarding.own_responses import NO_PAGE, Page, html_page, page_for
from hubgate.errors import (
    ConnectError,
    HubgateError,
    RouteError,
    StaleConnectionError,
    UpstreamError,
)
from hubgate.file_reading import read_file
from hubgate.http1.message import Bytes
from hubgate.http1.request import RequestHead
from hubgate.http1.response import ResponseHead
from hubgate.model import ForwardRules
from hubgate.routing.target import Target, parse_target
from hubgate.upstream.connection import UpstreamConnection
from hubgate.upstream.connector import Connector

log = logging.getLogger("hubgate")

# In bytes. A larger page from an error target is not taken, and no more is kept of all of them.
_PAGE_LIMIT = 1 << 20
_KEEP_SECONDS = 1.0
_MOST_KEPT = 1 << 22
_PASSED = (b"content-type", b"content-encoding")


class ErrorPages:
    """Finds the page for a status: from the error target, the error folder, or built in."""

    def __init__(self, rules: ForwardRules, connector: Connector, timeout: float) -> None:
        self._connector = connector
        self._timeout = timeout
        self._folder = Path(rules.error_path) if rules.error_path else None
        self._target: Target | None = None
        self._clock = asyncio.get_running_loop().time
        self._sampler = Sampler()
        self._down_until = 0.0
        self._kept: ByteCache[tuple[int, bytes], tuple[float, Page]] = ByteCache(_MOST_KEPT)
        if rules.error_target:
            self._target = parse_target(rules.error_target)
        # Pages must be fetched from the error target: call `fetch`.
        self.remote = self._target is not None

    def cached(self, status: int, head: RequestHead) -> Page | None:
        """Return the page for a request if it need not be fetched, else None.

        One that was fetched a moment ago will do, and an error target that could not be reached
        a moment ago is not asked: a storm of requests is not passed on to it.
        """
        if not self.remote:
            return self.local(status, head)
        if self._clock() < self._down_until:
            return self.local(status, head)
        kept = self._kept.get((status, head.target))
        return kept[1] if kept is not None and self._clock() < kept[0] else None

    def local(self, status: int, head: RequestHead | None) -> Page:
        """Return the page for a request: from the error folder (`404.html`, else `error.html`),
        JSON for a program, nothing for an upgrade, else the built-in one."""
        if head is None:
            return html_page(status)
        if head.upgrade:
            return NO_PAGE
        if self._folder is not None:
            for name in (f"{status}.html", "error.html"):
                try:
                    return Page(
                        read_file(self._folder / name, once=False), [b"Content-Type: text/html"]
                    )
                except OSError as error:
                    log.debug("no error page %s: %s", name, error)
        return page_for(status, head.fields)

    async def fetch(self, status: int, head: RequestHead) -> Page:
        """GET `TARGET/STATUS?url=URL`; on any failure return the local page."""
        now = self._clock()
        try:
            page = await self._ask(cast(Target, self._target), status, head.target)
        except (HubgateError, TimeoutError) as error:
            reason = str(error) or f"it did not arrive within {self._timeout:g} s"
            line = f"failed to get the custom error page for {status}: {reason}"
            log_sampled(self._sampler, (status, type(error)), self._clock(), line)
            if isinstance(error, ConnectError):
                self._down_until = self._clock() + _KEEP_SECONDS
            page = self.local(status, head)
        size = len(page.body) + sum(map(len, page.lines)) + len(head.target)
        self._kept.keep((status, head.target), (now + _KEEP_SECONDS, page), size)
        return page

    async def _ask(self, target: Target, status: int, url: bytes) -> Page:
        path = target.path + b"/%d?url=" % status + quote(url, safe="").encode()
        request = (
            b"GET " + path + b" HTTP/1.1\r\nHost: " + target.authority + b"\r\nAccept: */*\r\n\r\n"
        )
        connection = self._connector.take(target.peer)
        if connection is not None:
            with contextlib.suppress(StaleConnectionError):
                return await self._get(connection, request)
        # Looking up its name and connecting have time limits of their own.
        connection = await self._connector.open(target.peer)
        return await self._get(connection, request)

    async def _get(self, connection: UpstreamConnection, request: bytes) -> Page:
        async with asyncio.timeout(self._timeout):
            return await _PageReceiver(self._connector, connection).get(request)


class _PageReceiver:
    """Receives one whole page, up to `_PAGE_LIMIT` bytes."""

    def __init__(self, connector: Connector, connection: UpstreamConnection) -> None:
        self._connector = connector
        self._connection = connection
        self._page = Page(b"", [])
        self._done: asyncio.Future[Page] = asyncio.get_running_loop().create_future()

    async def get(self, request: bytes) -> Page:
        self._connection.begin(self, request, bodiless=False)
        try:
            return await self._done
        except asyncio.CancelledError:
            if self._done.cancelled():
                self._connection.abort()
            else:  # it has just ended, and the connection may already be in use again
                self._done.exception()
            raise

    def on_informational(self, head: ResponseHead) -> None:
        """Nothing to do: the page is still to come."""

    def on_response(self, head: ResponseHead | None, body: Bytes, ended: bool) -> None:
        if head is not None:
            self._page.lines = [
                name.title() + b": " + value
                for name, value in head.headers
                if name.lower() in _PASSED
            ]
        self._page.body += body
        if ended:
            self._connector.give_back(self._connection)
            if not self._done.done():
                self._done.set_result(self._page)
        elif len(self._page.body) > _PAGE_LIMIT:
            self._connection.abort()
            self._lose(RouteError("the error target's page is over 1 MiB"))

    def on_switched(self, head: ResponseHead, leftover: bytes) -> None:
        self._connection.abort()
        self._lose(RouteError("the error target switched protocols"))

    def on_upstream_lost(self, error: UpstreamError) -> None:
        self._lose(error)

    def on_upstream_writable(self, writable: bool) -> None:
        """Nothing to do: the request is already written."""

    def _lose(self, error: HubgateError) -> None:
        if not self._done.done():
            self._done.set_exception(error)
