"""What a client sees when there is no answer from a target."""

import asyncio
import contextlib
import json
import logging
from functools import cache, lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import cast
from urllib.parse import quote

from hubgate.bounded import BoundedDict
from hubgate.errors import HubgateError, RouteError, StaleConnectionError, UpstreamError
from hubgate.http1.message import REASONS, Bytes
from hubgate.http1.request import RequestHead
from hubgate.http1.response import ResponseHead
from hubgate.model import ForwardRules
from hubgate.routing.target import Target, parse_target
from hubgate.upstream.connection import UpstreamConnection
from hubgate.upstream.pool import Pool

log = logging.getLogger("hubgate")

_EXPLANATIONS = {
    404: "There is nothing at this address.",
    503: "The server behind this address does not answer. It may be starting, stopped or gone.",
}
# A page of an error target larger than this, in bytes, is not an error page.
_PAGE_LIMIT = 1 << 20
_KEEP_SECONDS = 1.0
_MOST_KEPT = 256
RETRY_AFTER = 1
_PASSED = (b"content-type", b"content-encoding")

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{status} {reason}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ margin: 0; min-height: 100vh; display: grid; place-items: center;
  font: 16px/1.5 system-ui, sans-serif; background: Canvas; color: CanvasText; }}
main {{ max-width: 32rem; padding: 2rem; }}
h1 {{ margin: 0; font-size: 1.5rem; font-weight: 600; }}
h1 span {{ opacity: .5; margin-right: .5rem; }}
</style>
</head>
<body><main><h1><span>{status}</span>{reason}</h1><p>{text}</p></main></body>
</html>
"""


class Page:
    """A body with the header lines that describe it."""

    __slots__ = ("body", "lines")

    def __init__(self, body: bytes, lines: list[bytes]) -> None:
        self.body = body
        self.lines = lines


_NOTHING = Page(b"", [])
HEALTH = b"/_chp_healthz"
HEALTHY = Page(b'{"status": "OK"}', [b"Content-Type: application/json"])


@cache
def built_in(status: int) -> Page:
    """Return the built-in page for `status`."""
    reason = REASONS.get(status, b"Error").decode()
    text = _EXPLANATIONS.get(status, HTTPStatus(status).description or reason)
    page = _PAGE.format(status=status, reason=reason, text=text)
    return Page(page.encode(), [b"Content-Type: text/html; charset=utf-8"])


@cache
def as_json(status: int) -> Page:
    """Return the page for clients that are programs."""
    reason = REASONS.get(status, b"Error").decode()
    body = json.dumps({"status": status, "message": _EXPLANATIONS.get(status, reason)})
    return Page(body.encode(), [b"Content-Type: application/json"])


# A storm's requests repeat their header lines, and they are then the same object.
@lru_cache(512)
def our_own(status: int, fields: bytes) -> Page:
    """Return the page for a request with these header lines: JSON when they ask for that only."""
    for line in fields.split(b"\r\n"):
        if line[:7].lower() == b"accept:":
            wants_json = b"application/json" in line and b"text/html" not in line
            return as_json(status) if wants_json else built_in(status)
    return built_in(status)


@lru_cache(maxsize=32)
def answer(status: int, page: Page, close: bool, head_only: bool = False) -> bytes:
    """Return a whole response of our own; without its body when it answers a HEAD."""
    lines = [b"HTTP/1.1 %d " % status + REASONS.get(status, b"Error"), *page.lines]
    if status == 503:
        lines.append(b"Retry-After: %d" % RETRY_AFTER)
    lines.append(b"Content-Length: %d" % len(page.body))
    if close:
        lines.append(b"Connection: close")
    lines.append(b"\r\n")
    return b"\r\n".join(lines) + (b"" if head_only else page.body)


class ErrorPages:
    """Finds the page for a status: from the error target, the error folder, or built in."""

    def __init__(self, rules: ForwardRules, pool: Pool, timeout: float) -> None:
        self._pool = pool
        self._timeout = timeout
        self._folder = Path(rules.error_path) if rules.error_path else None
        self._target: Target | None = None
        self._clock = asyncio.get_running_loop().time
        self._kept: BoundedDict[tuple[int, bytes], tuple[float, Page]] = BoundedDict(_MOST_KEPT)
        if rules.error_target:
            self._target = parse_target(rules.error_target)
        # Pages must be asked for: `fetch` is the call to make.
        self.remote = self._target is not None

    def at_hand(self, status: int, head: RequestHead) -> Page | None:
        """Return the page for a request if nobody need be asked for it, else None.

        One that was asked for a moment ago will do: a storm of requests is not passed on to the
        server that makes the pages.
        """
        if not self.remote:
            return self.local(status, head)
        kept = self._kept.get((status, head.target))
        return kept[1] if kept is not None and self._clock() < kept[0] else None

    def local(self, status: int, head: RequestHead | None) -> Page:
        """Return the page for a request: from the error folder (`404.html`, else `error.html`),
        JSON for a program, nothing for an upgrade, else the built-in one."""
        if head is None:
            return built_in(status)
        if head.upgrade:
            return _NOTHING
        if self._folder is not None:
            for name in (f"{status}.html", "error.html"):
                try:
                    return Page((self._folder / name).read_bytes(), [b"Content-Type: text/html"])
                except OSError as error:
                    log.debug("no error page %s: %s", name, error)
        return our_own(status, head.fields)

    async def fetch(self, status: int, head: RequestHead) -> Page:
        """GET `TARGET/STATUS?url=URL`; on any failure return the local page."""
        now = self._clock()
        try:
            async with asyncio.timeout(self._timeout):
                page = await self._ask(cast(Target, self._target), status, head.target)
        except (HubgateError, TimeoutError) as error:
            log.error("failed to get the custom error page for %d: %s", status, error)
            page = self.local(status, head)
        self._kept[status, head.target] = (now + _KEEP_SECONDS, page)
        return page

    async def _ask(self, target: Target, status: int, url: bytes) -> Page:
        path = target.path + b"/%d?url=" % status + quote(url, safe="").encode()
        request = (
            b"GET " + path + b" HTTP/1.1\r\nHost: " + target.authority + b"\r\nAccept: */*\r\n\r\n"
        )
        connection = self._pool.take(target.peer)
        if connection is not None:
            with contextlib.suppress(StaleConnectionError):
                return await _PageReceiver(self._pool, connection).get(request)
        connection = await self._pool.connect(target.peer)
        return await _PageReceiver(self._pool, connection).get(request)


class _PageReceiver:
    """Receives one whole page, up to `_PAGE_LIMIT` bytes."""

    def __init__(self, pool: Pool, connection: UpstreamConnection) -> None:
        self._pool = pool
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
            else:  # it has ended just now, and the connection may be another's already
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
            self._pool.put(self._connection)
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
