"""Rewriting a request's head for its target."""

from collections.abc import Container, Sequence
from typing import cast

from hubgate.dataplane.downstream.connection import DownstreamConnection
from hubgate.dataplane.forwarding.trust import Trust
from hubgate.http1.message import CHUNKED, OF_LENGTH
from hubgate.http1.reader import IncomingRequest
from hubgate.http1.request import RequestHead
from hubgate.model import ForwardRules
from hubgate.routing.paths import drop_segments
from hubgate.routing.table import RouteEntry, header_lines
from hubgate.routing.target import Target


class RequestWriter:
    """Writes request heads by the rules of one configuration."""

    def __init__(self, rules: ForwardRules, trust: Trust) -> None:
        self._rules = rules
        self._custom = header_lines(rules.custom_headers)
        self._trust = trust

    def opening(
        self,
        client: DownstreamConnection,
        request: IncomingRequest,
        entry: RouteEntry,
        target: Target,
    ) -> bytes:
        """Return the head that goes to the target, for a request whose own head was readable.

        Raises BadRequestError if the prefix to be dropped is ambiguous.
        """
        last = request.opening
        if last is not None and last[0] is entry and last[1] is self:
            return last[2]
        head, block, rules = cast(RequestHead, request.head), request.block, self._rules
        if block is None:
            rest = self._rest(client, head, entry, target)
        else:
            # By the writer and not by its rules, which would be hashed anew each time.
            key = entry, client.origin or self._trust.origin(client), self
            found = block.heads.get(key)
            rest = self._rest(client, head, entry, target) if found is None else found
            if found is None:
                block.keep(key, rest)
        opening = b"%b %b%b" % (head.method, forward_path(head, entry, target, rules), rest)
        request.opening = entry, self, opening
        return opening

    def _rest(
        self, client: DownstreamConnection, head: RequestHead, entry: RouteEntry, target: Target
    ) -> bytes:
        lines = self._trust.lines(client, head, self._rules.x_forward)
        configured = (*self._custom, *entry.header_lines)
        return request_rest(head, target, self._rules, lines, configured)


def forward_path(
    head: RequestHead, entry: RouteEntry, target: Target, rules: ForwardRules
) -> bytes:
    """Return the path and query that go to the target.

    Raises BadRequestError if the prefix to be dropped is ambiguous.
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

    `forwarding` are the X-Forwarded-* lines; a `configured` header replaces any other of its
    name, and of two with one name the last one wins.
    """
    # HTTP/1.0 allows requests without a Host; HTTP/1.1 does not.
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
