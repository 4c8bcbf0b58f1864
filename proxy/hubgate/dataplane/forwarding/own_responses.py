"""Responses of our own: error pages as HTML or JSON, and the health check's."""

import json
from functools import cache
from http import HTTPStatus

from hubgate.bounded import ByteCache
from hubgate.http1.message import REASONS, lines_for

_EXPLANATIONS = {
    404: "There is nothing at this address.",
    503: "The server behind this address is not responding. It may be starting, stopped or gone.",
}

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


NO_PAGE = Page(b"", [])
HEALTH_PATH = b"/_chp_healthz"
HEALTHY = Page(b'{"status": "OK"}', [b"Content-Type: application/json"])


@cache
def html_page(status: int) -> Page:
    """Return the built-in page for `status`."""
    reason = REASONS.get(status, b"Error").decode()
    text = _EXPLANATIONS.get(status, HTTPStatus(status).description or reason)
    page = _PAGE.format(status=status, reason=reason, text=text)
    return Page(page.encode(), [b"Content-Type: text/html; charset=utf-8"])


@cache
def json_page(status: int) -> Page:
    """Return the page for clients that are programs."""
    reason = REASONS.get(status, b"Error").decode()
    body = json.dumps({"status": status, "message": _EXPLANATIONS.get(status, reason)})
    return Page(body.encode(), [b"Content-Type: application/json"])


# Requests in a storm repeat their header lines, which are then the same object.
_pages: ByteCache[tuple[int, bytes], Page] = ByteCache(1 << 19)
_responses: ByteCache[tuple[int, Page, bool, bool], bytes] = ByteCache(1 << 19)


def page_for(status: int, fields: bytes) -> Page:
    """Return the page for a request with these header lines: JSON if they accept nothing else."""
    key = status, fields
    page = _pages.get(key)
    if page is None:
        page = _page_for(status, fields)
        _pages.keep(key, page, len(fields))
    return page


def _page_for(status: int, fields: bytes) -> Page:
    for line in fields.split(b"\r\n"):
        if line[:7].lower() == b"accept:":
            wants_json = b"application/json" in line and b"text/html" not in line
            return json_page(status) if wants_json else html_page(status)
    return html_page(status)


def whole_response(status: int, page: Page, close: bool, head_only: bool = False) -> bytes:
    """Return a whole response of our own; without its body if it is for a HEAD."""
    key = status, page, close, head_only
    response = _responses.get(key)
    if response is None:
        response = _whole_response(status, page, close, head_only)
        # A page from elsewhere is another object each time it is read.
        _responses.keep(key, response, len(response) + len(page.body))
    return response


def _whole_response(status: int, page: Page, close: bool, head_only: bool) -> bytes:
    lines = [b"HTTP/1.1 %d " % status + REASONS.get(status, b"Error"), *page.lines]
    lines += lines_for(status)
    lines.append(b"Content-Length: %d" % len(page.body))
    if close:
        lines.append(b"Connection: close")
    lines.append(b"\r\n")
    return b"\r\n".join(lines) + (b"" if head_only else page.body)
