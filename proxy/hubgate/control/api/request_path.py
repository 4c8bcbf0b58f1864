"""The API's request target, read raw, before a framework decodes, joins or tidies it."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote_to_bytes

from hubgate.errors import RouteError

ROUTES = "/api/routes"

_BARE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class ApiPath:
    """The parts of a request target.

    `path` is still percent-encoded; `query` holds the first value of each parameter.
    """

    path: str
    query: dict[str, str]

    @property
    def route(self) -> str | None:
        """What follows `/api/routes`, percent-encoded, or None for any other path."""
        if self.path == ROUTES or self.path.startswith(ROUTES + "/"):
            return self.path.removeprefix(ROUTES)
        return None


def split_target(target: str) -> ApiPath:
    """Split a request target in origin form or absolute form (RFC 9112, section 3.2)."""
    path, _, query = target.partition("#")[0].partition("?")
    if not path.startswith("/"):
        path = "/" + path.partition("://")[2].partition("/")[2]
    first: dict[str, str] = {}
    if not query:
        return ApiPath(path, first)
    for name, value in parse_qsl(query, keep_blank_values=True, errors="replace"):
        first.setdefault(name, value)
    return ApiPath(path, first)


def decode_route(path: str) -> str:
    """Percent-decode the path of a route.

    Raises RouteError if it is not UTF-8, or has a `.` or `..` segment: clients and request
    matching resolve those, so such a route could never be reached.
    """
    if _BARE_PERCENT.search(path):
        raise RouteError("the path has a bare %: write %25 for a percent sign")
    try:
        decoded = unquote_to_bytes(path.encode("utf-8", "surrogateescape")).decode("utf-8")
    except UnicodeDecodeError:
        raise RouteError("the path is not UTF-8 once percent-decoded") from None
    check_segments(decoded)
    return decoded


def check_segments(path: str) -> None:
    """Raise RouteError if a route with this path, percent-decoded, could never be reached."""
    if {".", ".."}.intersection(path.split("/")):
        raise RouteError("the path has a . or .. segment, which no request can match")
