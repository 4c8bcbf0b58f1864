"""From the raw request target to the path that routes are matched on."""

import re
from urllib.parse import unquote

from proxy.errors import BadRequestError

_BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")


def match_path(target: str) -> str:
    """Return the percent-decoded path of an origin-form request target, dot segments resolved.

    `/user/a%40b/../c?x` becomes `/user/c`. Only the match sees this form: what goes to the
    target stays raw. Dots and backslashes are read as the WHATWG URL standard does (section
    4.4), which is what CHP's routing uses, so that `..` cannot pick another user's rules.
    Raises BadRequestError for what cannot be decoded.
    """
    path = target.partition("?")[0].partition("#")[0]
    if "%" not in path and "/." not in path and "\\" not in path:
        return path
    if _BAD_ESCAPE.search(path):
        raise BadRequestError("the path has a % that is not followed by two hexadecimal digits")
    try:
        return unquote(_resolve_dots(path.replace("\\", "/")), errors="strict")
    except UnicodeDecodeError:
        raise BadRequestError("the path is not UTF-8 when percent-decoded") from None


def _resolve_dots(path: str) -> str:
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments:
        dots = segment.replace("%2e", ".").replace("%2E", ".") if len(segment) <= 6 else segment
        if dots == "..":
            # The first element is the empty string before the leading slash: it stays.
            if len(kept) > 1:
                kept.pop()
        elif dots != ".":
            kept.append(segment)
    return "/".join(kept) or "/"


def drop_segments(target: bytes, count: int) -> bytes:
    """Return the raw request target without its first `count` path segments.

    What is left may be empty, or a query alone.
    """
    path, mark, query = target.partition(b"?")
    position = 0
    for _ in range(count):
        # Leading slashes do not count as segments when routes are matched.
        while path.startswith(b"/", position):
            position += 1
        following = path.find(b"/", position)
        position = len(path) if following < 0 else following
    return path[position:] + mark + query
