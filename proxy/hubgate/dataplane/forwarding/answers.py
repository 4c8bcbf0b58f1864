"""Responses of our own: error pages as HTML or JSON, and the health check's."""

import json
from functools import cache, lru_cache
from http import HTTPStatus

from hubgate.http1.message import REASONS

_EXPLANATIONS = {
    404: "There is nothing at this address.",
    503: "The server behind this address does not answer. It may be starting, stopped or gone.",
}
RETRY_AFTER = 1

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


NOTHING = Page(b"", [])
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
