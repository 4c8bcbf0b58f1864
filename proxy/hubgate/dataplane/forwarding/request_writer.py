"""Writing a request's head anew, towards its target."""

from collections.abc import Container, Sequence

from hubgate.http1.message import CHUNKED, OF_LENGTH
from hubgate.http1.request import RequestHead
from hubgate.model import ForwardRules, Headers
from hubgate.routing.paths import drop_segments
from hubgate.routing.table import RouteEntry
from hubgate.routing.target import Target


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
