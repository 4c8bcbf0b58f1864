"""From the raw request target to the path that routes are matched on."""

import re
from urllib.parse import unquote

from hubgate.errors import BadRequestError

_BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")


def match_path(target: str) -> str:
    """Return the percent-decoded path of an origin-form request target, without its query.

    Raises BadRequestError if it cannot be decoded.
    """
    path = target.partition("?")[0].partition("#")[0]
    if "%" not in path:
        return path
    if _BAD_ESCAPE.search(path):
        raise BadRequestError("the path has a % that is not followed by two hexadecimal digits")
    try:
        decoded = unquote(path, errors="strict")
    except UnicodeDecodeError:
        raise BadRequestError("the path is not UTF-8 when percent-decoded") from None
    if "/." in decoded or "\\" in decoded:
        _refuse_hidden_dots(decoded)
    return decoded


def _refuse_hidden_dots(decoded: str) -> None:
    """Refuse dot segments between encoded slashes, which `resolve_dots` leaves in place.

    A target that decodes `%2f` before it resolves dots would climb out of the route's prefix.
    """
    if not {".", ".."}.isdisjoint(decoded.replace("\\", "/").split("/")):
        raise BadRequestError("the path has dot segments behind encoded slashes")


def resolve_dots(target: bytes) -> bytes:
    """Return a request target with the dot segments of its path resolved, all else raw.

    `/user/a%40b/../c?x` becomes `/user/c?x`. Dots, `%2e` and backslashes are read as the WHATWG
    URL standard does (section 4.4). What is matched and what is forwarded must agree: otherwise
    `..` could pick one user's route and another user's path.
    """
    path, mark, query = target.partition(b"?")
    escaped = b"%" in path and b"%2e" in path.lower()
    if b"/." not in path and b"\\" not in path and not escaped:
        return target
    kept: list[bytes] = []
    segments = path.replace(b"\\", b"/").split(b"/")
    for segment in segments:
        dots = segment.lower().replace(b"%2e", b".") if len(segment) <= 6 else segment
        if dots == b"..":
            # The first element is the empty one before the leading slash: it stays.
            if len(kept) > 1:
                kept.pop()
        elif dots != b".":
            kept.append(segment)
    if dots in (b".", b".."):
        kept.append(b"")
    return b"/".join(kept) + mark + query


def drop_segments(target: bytes, count: int) -> bytes:
    """Return the raw request target without its first `count` path segments.

    What is left may be empty, or only a query. Raises BadRequestError if the part to be dropped
    contains an encoded slash: it counted when the route was matched.
    """
    path, mark, query = target.partition(b"?")
    position = 0
    for _ in range(count):
        # Leading slashes do not count as segments when routes are matched.
        while path.startswith(b"/", position):
            position += 1
        following = path.find(b"/", position)
        position = len(path) if following < 0 else following
    if b"%" in path and b"%2f" in path[:position].lower():
        raise BadRequestError("the path has an encoded slash in the prefix to be dropped")
    return path[position:] + mark + query
