"""Writing heads anew: the request's towards the target, the response's towards the client."""

from collections.abc import Container, Sequence
from http import HTTPStatus

from hubgate.http1.request import RequestHead
from hubgate.http1.response import CHUNKED, OF_LENGTH, ResponseHead
from hubgate.model import ForwardRules, Headers
from hubgate.routing.paths import drop_segments
from hubgate.routing.table import RouteEntry
from hubgate.routing.target import Target

_REDIRECTS = frozenset((201, 301, 302, 307, 308))
_HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
_PERSISTENCE = frozenset((b"close", b"keep-alive", b"upgrade"))
# What the message itself hangs on: no Connection header can take it away.
_FRAMING = frozenset((b"content-length", b"content-type", b"set-cookie"))
REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}


def header_lines(headers: Headers) -> tuple[bytes, ...]:
    """Encode configured headers as raw lines."""
    return tuple(f"{name}: {value}".encode("latin-1") for name, value in headers)


def forward_path(
    head: RequestHead, entry: RouteEntry, target: Target, rules: ForwardRules
) -> bytes:
    """Return the path and query that go to the target.

    Raises BadRequestError when the prefix to be dropped cannot be told for certain.
    """
    path = head.target
    if entry.strip_prefix or not rules.include_prefix:
        path = drop_segments(path, entry.segments)
    if rules.prepend_path:
        path = target.path + path
        if target.query:
            path = _joined_query(path, target.query)
    return path if path.startswith(b"/") else b"/" + path


def request_rest(
    head: RequestHead,
    target: Target,
    rules: ForwardRules,
    forwarding: Sequence[bytes],
    configured: Sequence[bytes],
) -> bytes:
    """Return what goes to the target after method and path, blank line included.

    `forwarding` are the X-Forwarded-* lines; a `configured` header replaces what would go out
    under its name, and of two of one name the last one wins.
    """
    # HTTP/1.0 knows requests without a Host; HTTP/1.1 does not.
    host = head.host
    if host is None or rules.change_origin:
        host = target.authority
    fields = head.fields
    lines = list(forwarding)
    if configured:
        named = {line.partition(b":")[0].lower(): line for line in configured}
        if (other := named.pop(b"host", None)) is not None and not rules.change_origin:
            host = other.partition(b":")[2].strip()
        lines = [*_without([*head.lines, *lines], named), *named.values()]
        fields = b""
    lines.insert(0, b" HTTP/1.1\r\nHost: " + host + fields)
    if head.body is OF_LENGTH:
        lines.append(b"Content-Length: %d" % head.length)
    elif head.body is CHUNKED:
        lines.append(b"Transfer-Encoding: chunked")
    if head.upgrade:
        lines.append(b"Connection: Upgrade\r\nUpgrade: " + head.upgrade)
    lines.append(b"\r\n")
    return b"\r\n".join(lines)


def _joined_query(path: bytes, query: bytes) -> bytes:
    """Put the target's own query in front of the request's."""
    path, mark, rest = path.partition(b"?")
    return path + b"?" + query + (b"&" + rest if mark else b"")


def _without(lines: list[bytes], names: Container[bytes]) -> list[bytes]:
    return [line for line in lines if line.partition(b":")[0].lower() not in names]


def forwarded_lines(head: RequestHead, peer: str, secure: bool, trusted: bool) -> list[bytes]:
    """Return the X-Forwarded-* lines: appended to what a trusted peer sent, else set anew."""
    before = head.forwarded if trusted else {}
    proto = b"https" if secure else b"http"
    if head.upgrade:
        proto = b"wss" if secure else b"ws"
    host = head.host or b""
    lines = [
        _appended(b"X-Forwarded-Port", _port(host, secure), before),
        _appended(b"X-Forwarded-Proto", proto, before),
    ]
    # A peer on a unix socket has no address: an empty one would hide those before it.
    if peer:
        lines.append(_appended(b"X-Forwarded-For", peer.encode("latin-1"), before))
    elif given := before.get(b"x-forwarded-for"):
        lines.append(b"X-Forwarded-For: " + given)
    if first := before.get(b"x-forwarded-host") or host:
        lines.append(b"X-Forwarded-Host: " + first)
    if given := before.get(b"forwarded"):
        lines.append(b"Forwarded: " + given)
    return lines


def passed_lines(head: RequestHead, trusted: bool) -> list[bytes]:
    """Return what stays of incoming forwarding headers when none are to be added."""
    if not trusted:
        return []
    return [name + b": " + value for name, value in head.forwarded.items()]


def _appended(name: bytes, value: bytes, before: dict[bytes, bytes]) -> bytes:
    old = before.get(name.lower())
    return name + b": " + (value if not old else old + b"," + value)


def _port(host: bytes, secure: bool) -> bytes:
    port = host.rpartition(b":")[2] if b":" in host and not host.endswith(b"]") else b""
    return port or (b"443" if secure else b"80")


def response_lines(head: ResponseHead) -> list[bytes]:
    """Return the response's status line and end-to-end headers, as lines without line ends."""
    reason = head.reason or REASONS.get(head.status, b"")
    lines = [b"HTTP/1.1 %d " % head.status + reason]
    for name, value in head.headers:
        lower = name.lower()
        if lower not in _HOP_BY_HOP:
            if lower != b"content-length" or head.status != 204:
                lines.append(name + b": " + value)
        elif lower == b"connection" and value.lower() not in _PERSISTENCE:
            return _without_named(head, lines[0])
    return lines


def chunk(data: bytes | memoryview, last: bool) -> bytes:
    """Return `data` in chunked framing (RFC 9112, section 7.1), with the body's end if `last`."""
    framed = b"".join((b"%x\r\n" % len(data), data, b"\r\n")) if data else b""
    return framed + b"0\r\n\r\n" if last else framed


def response_bytes(lines: list[bytes], request: RequestHead, chunked: bool, keep: bool) -> bytes:
    """Return a response's head, blank line included, with how its body ends and what is next."""
    if chunked:
        lines.append(b"Transfer-Encoding: chunked")
    if not keep:
        lines.append(b"Connection: close")
    elif request.http10:
        lines.append(b"Connection: keep-alive")
    lines.append(b"\r\n")
    return b"\r\n".join(lines)


def asked_for(head: ResponseHead, request: RequestHead) -> bool:
    """Say whether a 101 switches to a protocol that the request asked for."""
    wanted = {name.strip(b" \t").lower() for name in request.upgrade.split(b",")} - {b""}
    given = [value for name, value in head.headers if name.lower() == b"upgrade"]
    return any(value.strip(b" \t").lower() in wanted for value in given)


def _without_named(head: ResponseHead, status_line: bytes) -> list[bytes]:
    """Leave out as well what the Connection header names (RFC 9110, section 7.6.1)."""
    tokens = b",".join(value for name, value in head.headers if name.lower() == b"connection")
    named = {token.strip(b" \t").lower() for token in tokens.split(b",")} - _FRAMING | _HOP_BY_HOP
    kept = [name + b": " + value for name, value in head.headers if name.lower() not in named]
    return [status_line, *kept]


def switch_bytes(head: ResponseHead) -> bytes:
    """Return the 101 that goes to the client; `head` names the protocol."""
    named = {name.lower(): value for name, value in head.headers}
    lines = [*response_lines(head), b"Connection: Upgrade", b"Upgrade: " + named[b"upgrade"]]
    return b"\r\n".join([*lines, b"\r\n"])


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


def is_redirect(status: int) -> bool:
    """Say whether a status is one of those whose Location is rewritten."""
    return status in _REDIRECTS
