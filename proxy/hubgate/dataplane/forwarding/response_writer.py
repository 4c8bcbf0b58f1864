"""Rewriting a response's head for the client."""

from hubgate.http1.message import HOP_BY_HOP, REASONS
from hubgate.http1.request import RequestHead
from hubgate.http1.response import ResponseHead
from hubgate.model import ForwardRules
from hubgate.routing.target import Target

_REDIRECTS = frozenset((201, 301, 302, 307, 308))
_PERSISTENCE = frozenset((b"close", b"keep-alive", b"upgrade"))
# The message itself depends on these: no Connection header can remove them.
_FRAMING = frozenset((b"content-length", b"content-type", b"set-cookie"))


class ResponseWriter:
    """Writes response heads by the rules of one configuration."""

    def __init__(self, rules: ForwardRules) -> None:
        self._rules = rules
        self._rewrites_location = rules.auto_rewrite or bool(rules.protocol_rewrite)

    def opening(
        self, head: ResponseHead, request: RequestHead, target: Target, chunked: bool, keep: bool
    ) -> bytes:
        """Return the head that goes to the client.

        `chunked`: the body goes out in chunks; `keep`: the client's connection stays open.
        """
        if head.raw and not request.http10 and not self._rewrites_location:
            return head.raw if keep else head.raw[:-2] + b"Connection: close\r\n\r\n"
        lines = response_lines(head)
        if self._rewrites_location and head.status in _REDIRECTS:
            rewrite_location(lines, target, self._rules, request)
        offered = _protocols(head) if head.status == 426 else []
        if offered:
            lines.append(b"Upgrade: " + b", ".join(offered))
        return response_bytes(lines, request, chunked, keep, bool(offered))


def response_lines(head: ResponseHead) -> list[bytes]:
    """Return the response's status line and end-to-end headers, as lines without line ends."""
    reason = head.reason or REASONS.get(head.status, b"")
    lines = [b"HTTP/1.1 %d " % head.status + reason]
    for name, value in head.headers:
        lower = name.lower()
        if lower not in HOP_BY_HOP:
            if lower != b"content-length" or head.status != 204:
                lines.append(name + b": " + value)
        elif lower == b"connection" and value.lower() not in _PERSISTENCE:
            return _without_named(head, lines[0])
    return lines


def response_bytes(
    lines: list[bytes], request: RequestHead, chunked: bool, keep: bool, offers: bool = False
) -> bytes:
    """Return a response's head, blank line included, with its framing and keep-alive headers.

    `offers`: it has an Upgrade field, which is worth nothing unless Connection names it as well
    (RFC 9110, section 7.8).
    """
    if chunked:
        lines.append(b"Transfer-Encoding: chunked")
    if offers:
        rest = b", close" if not keep else b", keep-alive" if request.http10 else b""
        lines.append(b"Connection: Upgrade" + rest)
    elif not keep:
        lines.append(b"Connection: close")
    elif request.http10:
        lines.append(b"Connection: keep-alive")
    lines.append(b"\r\n")
    return b"\r\n".join(lines)


def asked_for(head: ResponseHead, request: RequestHead) -> bool:
    """Return whether a 101 names protocols that the request asked for, and no other.

    RFC 9110, section 7.8: it may name several, one on top of the other.
    """
    wanted = {name.lower() for name in _names(request.upgrade)}
    given = _protocols(head)
    return bool(given) and all(name.lower() in wanted for name in given)


def _protocols(head: ResponseHead) -> list[bytes]:
    """Return the protocols that a 101 or 426 names, in their order, each once.

    They cross, although Upgrade belongs to one connection: a 101 has switched to them for both, and
    a 426 that does not say what the target wants is of no use (RFC 9110, section 15.5.22).
    """
    values = [value for name, value in head.headers if name.lower() == b"upgrade"]
    return list(dict.fromkeys(_names(b",".join(values))))


def _names(value: bytes) -> list[bytes]:
    return [name for part in value.split(b",") if (name := part.strip(b" \t"))]


def _without_named(head: ResponseHead, status_line: bytes) -> list[bytes]:
    """Also leave out what the Connection header names (RFC 9110, section 7.6.1)."""
    tokens = b",".join(value for name, value in head.headers if name.lower() == b"connection")
    named = {token.strip(b" \t").lower() for token in tokens.split(b",")} - _FRAMING | HOP_BY_HOP
    kept = [name + b": " + value for name, value in head.headers if name.lower() not in named]
    return [status_line, *kept]


def switch_bytes(head: ResponseHead) -> bytes:
    """Return the 101 that goes to the client, for a `head` that is `asked_for`."""
    upgrade = b"Upgrade: " + b", ".join(_protocols(head))
    return b"\r\n".join([*response_lines(head), b"Connection: Upgrade", upgrade, b"\r\n"])


def rewrite_location(
    lines: list[bytes], target: Target, rules: ForwardRules, request: RequestHead
) -> None:
    """Point a Location at the client's host or scheme, only if it points at the target."""
    for index, line in enumerate(lines):
        if line[:9].lower() == b"location:":
            lines[index] = b"Location: " + _rewritten(line[9:].strip(), target, rules, request)


def _rewritten(location: bytes, target: Target, rules: ForwardRules, request: RequestHead) -> bytes:
    scheme, mark, rest = location.partition(b"://")
    authority, slash, path = rest.partition(b"/")
    if not mark or authority.lower() != target.authority.lower():
        return location
    if rules.protocol_rewrite:
        scheme = rules.protocol_rewrite.encode("latin-1")
    if rules.auto_rewrite and request.host:
        authority = request.host
    return scheme + mark + authority + slash + path
