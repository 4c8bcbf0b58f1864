"""A request's head: what it asks for, how its body is delimited, which headers go on."""

import re
from typing import cast

from hubgate.errors import BadRequestError, MethodNotAllowedError, VersionNotSupportedError
from hubgate.http1.message import CHUNKED, LONGEST_BODY, NO_BODY, OF_LENGTH, RawHeaders
from hubgate.routing.paths import resolve_dots

_HOST = re.compile(
    rb"[A-Za-z0-9.\-_~!$&'()*+,;=]*(?::\d*)?|\[[0-9A-Fa-f:.%]+\](?::\d*)?"
    # Over a unix socket there is no host: clients such as JupyterHub's send the socket's path.
    rb"|%2[Ff](?:[A-Za-z0-9.\-_~!$&'()*+,;=]|%[2-9A-Fa-f][0-9A-Fa-f])*"
)

_HTTP = re.compile(rb"(?:http|h2|h2c.*|h3)(?:/.*)?\Z", re.IGNORECASE)
# Methods of other protocols that llhttp also accepts.
_METHODS_OF_OTHERS = frozenset(
    b"DESCRIBE ANNOUNCE SETUP PLAY PAUSE TEARDOWN GET_PARAMETER SET_PARAMETER REDIRECT RECORD"
    b" FLUSH SOURCE PRI".split()
)

# Headers that are read here instead of being copied; the fast path copies only others, unread.
# Those of a single connection (RFC 9110, section 7.6.1) are dropped, and Trailer because trailers
# are not forwarded.
_COPY, _DROP, _HOST_NAME, _LENGTH, _CODING, _CONNECTION, _UPGRADE, _FORWARDED, _EXPECT = range(9)
SPECIAL = {
    b"keep-alive": _DROP,
    b"proxy-connection": _DROP,
    b"te": _DROP,
    b"trailer": _DROP,
    b"host": _HOST_NAME,
    b"content-length": _LENGTH,
    b"transfer-encoding": _CODING,
    b"connection": _CONNECTION,
    b"upgrade": _UPGRADE,
    b"expect": _EXPECT,
    b"x-forwarded-for": _FORWARDED,
    b"x-forwarded-port": _FORWARDED,
    b"x-forwarded-proto": _FORWARDED,
    b"x-forwarded-host": _FORWARDED,
    b"forwarded": _FORWARDED,
}
_MOST_DIGITS = 19
_USUAL_TOKENS = frozenset((b"keep-alive", b"close", b"upgrade", b"te", b""))


class RequestHead:
    """A checked request head.

    `target` is in origin form, raw except that its dot segments are resolved; `lines` are the
    header lines that go on to the target, without Host, framing and X-Forwarded-*, which are
    rewritten; `upgrade` is the protocol asked for if the request may become a tunnel, else
    empty; `expects` is True if the client waits for 100 Continue; `forwarded` holds the incoming
    X-Forwarded-* and Forwarded headers, by lower-case name. Nothing changes once it is read.
    """

    __slots__ = (
        "_fields",
        "_lines",
        "body",
        "expects",
        "forwarded",
        "host",
        "http10",
        "keep_alive",
        "length",
        "method",
        "target",
        "upgrade",
    )

    def __init__(self, method: bytes, target: bytes, http10: bool) -> None:
        self.method = method
        self.target = target
        self.http10 = http10
        self.keep_alive = not http10
        self.host: bytes | None = None
        self.body = NO_BODY
        self.length = 0
        self.expects = False
        self.upgrade = b""
        self._lines: list[bytes] | None = []
        self._fields: bytes | None = None
        self.forwarded: dict[bytes, bytes] = {}

    def __repr__(self) -> str:
        path = self.target.partition(b"?")[0]
        return f"<RequestHead {self.method.decode()} {path.decode('latin-1')}>"

    @staticmethod
    def usual(
        before: bytes, host: bytes, between: bytes, persistence: bytes | None, after: bytes
    ) -> "RequestHead":
        """Return the head of a bodiless request with no special headers but Host and Connection.

        `before`, `between` and `after` are the other lines, around these two, each preceded by
        a line end; `persistence` is the value of Connection.
        """
        head = _BARE.again(b"GET", b"/")
        head.keep_alive = persistence != b"close"
        head.host = host
        head._fields = before + between + after
        head._lines = None
        return head

    @property
    def lines(self) -> list[bytes]:
        """The header lines that go on to the target, without line ends."""
        if self._lines is None:
            self._lines = cast(bytes, self._fields).split(b"\r\n")[1:]
        return self._lines

    @property
    def fields(self) -> bytes:
        """The same lines, each preceded by a line end."""
        if self._fields is None:
            self._fields = b"".join([b"\r\n" + line for line in self.lines])
        return self._fields

    def again(self, method: bytes, target: bytes) -> "RequestHead":
        """Return the head of a request with the same header lines."""
        head = RequestHead.__new__(RequestHead)
        head.method = method
        head.target = target
        head.http10 = self.http10
        head.keep_alive = self.keep_alive
        head.host = self.host
        head.body = self.body
        head.length = self.length
        head.expects = self.expects
        head.upgrade = self.upgrade
        head._lines = self._lines
        head._fields = self._fields
        head.forwarded = self.forwarded
        return head


# A head without header lines. Never change it: heads made from it share its dictionary.
_BARE = RequestHead(b"GET", b"/", http10=False)


def unchecked_head(method: bytes, target: bytes, http10: bool, headers: RawHeaders) -> RequestHead:
    """Return a head that only names a refused request, in logs and for its error page."""
    head = RequestHead(method, target, http10)
    head.lines.extend(name + b": " + value for name, value in headers)
    return head


def read_head(method: bytes, target: bytes, version: str, headers: RawHeaders) -> RequestHead:
    """Check a parsed head and sort its headers; raises BadRequestError or a subclass of it."""
    if version not in ("1.1", "1.0"):
        if version < "1":
            raise BadRequestError("the request line does not name an HTTP version")
        raise VersionNotSupportedError(f"HTTP/{version} is not supported here; HTTP/1.1 is")
    if method == b"CONNECT":
        raise MethodNotAllowedError("this is not a forward proxy: CONNECT is not allowed")
    if method == b"TRACE":
        # Its response repeats the request: cookies, and what we tell the target about the client.
        raise MethodNotAllowedError("TRACE is not allowed")
    if method in _METHODS_OF_OTHERS:
        raise BadRequestError(f"{method.decode()} is not an HTTP/1.1 method")
    head = RequestHead(method, target, version == "1.0")
    connection = b""
    copy = head.lines.append
    for name, value in headers:
        kind = SPECIAL.get(name.lower(), _COPY)
        if kind == _COPY:
            if b"_" in name and name.lower().replace(b"_", b"-") in SPECIAL:
                # Where headers become environment variables, this one would pass for the real one.
                continue
            copy(name + b": " + value)
        elif kind == _CONNECTION:
            connection += b"," + value.lower()
        elif kind != _DROP:
            _read_special(head, kind, name, value)
    if connection:
        _apply_connection(head, connection)
    else:
        head.upgrade = b""
    _check_host_and_target(head)
    return head


def _read_special(head: RequestHead, kind: int, name: bytes, value: bytes) -> None:
    if kind == _HOST_NAME:
        if head.host is not None:
            raise BadRequestError("more than one Host header")
        head.host = value.strip(b" \t")
    elif kind == _LENGTH:
        if head.body is not NO_BODY:
            raise BadRequestError("the body's length is given twice")
        digits = value.strip(b" \t")
        significant = digits.lstrip(b"0")
        if not digits.isdigit() or len(significant) > _MOST_DIGITS:
            raise BadRequestError("the body's length is not a number, or is far too large")
        head.body, head.length = OF_LENGTH, int(significant or 0)
        if head.length > LONGEST_BODY:
            raise BadRequestError("the body's length is far too large")
    elif kind == _CODING:
        if head.http10 or head.body is not NO_BODY or value.strip(b" \t").lower() != b"chunked":
            raise BadRequestError("only a single 'chunked' transfer coding is allowed, in HTTP/1.1")
        head.body = CHUNKED
    elif kind == _UPGRADE:
        head.upgrade += b", " + value if head.upgrade else value
    elif kind == _EXPECT:
        if not head.http10:
            head.expects = True
            head.lines.append(name + b": " + value)
    else:
        lower = name.lower()
        before = head.forwarded.get(lower)
        head.forwarded[lower] = value if before is None else before + b", " + value


def _apply_connection(head: RequestHead, connection: bytes) -> None:
    """Read the Connection header: keep-alive, upgrade, and which headers end here."""
    tokens = {token.strip(b" \t") for token in connection.split(b",")}
    if b"close" in tokens:
        head.keep_alive = False
    elif b"keep-alive" in tokens:
        head.keep_alive = True
    if b"upgrade" not in tokens or head.http10:
        # RFC 9110, section 7.8: an upgrade in HTTP/1.0 is ignored.
        head.upgrade = b""
    elif head.upgrade:
        head.upgrade = _allowed_upgrades(head.upgrade)
    if named := tokens - _USUAL_TOKENS:
        head.lines[:] = [
            line for line in head.lines if line.partition(b":")[0].lower() not in named
        ]


def _allowed_upgrades(value: bytes) -> bytes:
    """Leave out HTTP itself: requests in a tunnel would bypass every rule."""
    names = [name.strip(b" \t") for name in value.split(b",")]
    return b", ".join(name for name in names if name and not _HTTP.match(name))


def _check_host_and_target(head: RequestHead) -> None:
    if not head.target.startswith(b"/"):
        _absolute_form(head)
    if b"#" in head.target:
        raise BadRequestError("a fragment (#) is not allowed in a request")
    head.target = resolve_dots(head.target)
    if head.host is None:
        if not head.http10:
            raise BadRequestError("HTTP/1.1 requires a Host header")
    elif not _HOST.fullmatch(head.host):
        raise BadRequestError("the Host header is not a valid host")
    # An empty body is forwarded as it came: a POST announces it with a zero.
    if head.body is OF_LENGTH and head.length == 0:
        head.body = NO_BODY
        head.lines.append(b"Content-Length: 0")


def _absolute_form(head: RequestHead) -> None:
    """Turn `http://host/path` into host and path (RFC 9112, section 3.2.2: the host wins)."""
    scheme, mark, rest = head.target.partition(b"://")
    if not mark or scheme.lower() not in (b"http", b"https"):
        raise BadRequestError("the request target must be a path")
    end = min((i for i in (rest.find(b"/"), rest.find(b"?")) if i >= 0), default=len(rest))
    head.host, path = rest[:end], rest[end:]
    if b"@" in head.host or not head.host:
        raise BadRequestError("the request target does not name a plain host")
    head.target = path if path.startswith(b"/") else b"/" + path


def other_protocol(start: bytes) -> str:
    """Return what a client speaks that is not HTTP/1, as far as its first bytes tell, or nothing.

    A TLS record of a handshake begins with 0x16 (RFC 8446, section 5.1), HTTP/2 with a preface (RFC
    9113, section 3.4).
    """
    if start.startswith(b"\x16"):
        return "it is TLS on a port without it; use http://, or give the port a certificate"
    return "it is HTTP/2, which is not spoken here" if start.startswith(b"PRI * ") else ""
