"""Ways to give a proxy endless work: what each attacker sends, to which port, and who suffers."""

import enum
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.strangers.handshake import client_hello
from benchmarks.strangers.places import DOWN, EVIL, HEALTH, Port

_HOST = b"Host: 127.0.0.1\r\n"
_UPGRADE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)
# A proxy reads at most this much at once, or nearly.
BURST = 1 << 18


class Manner(enum.Enum):
    """What an attacker does once it is connected."""

    SEND = "sends the burst for ever, and discards all it receives"
    RECEIVE = "sends the opening, and discards all it receives"
    COME_AND_GO = "sends the opening, if any, and closes with a reset"
    KNOCK = "sends the opening, waits for a first byte, and closes with a reset"


@dataclass(frozen=True)
class Attack:
    """Bytes of one attacker: `opening` once, then, after `sign` was received, `burst` for ever.

    `segment` is the size of each write, 0 for as much as fits. An attacker that does not read
    leaves all it is sent with the proxy, once the kernel's buffers are full.
    """

    opening: bytes = b""
    burst: bytes = b""
    sign: bytes = b""
    segment: int = 0
    reads: bool = True
    manner: Manner = Manner.SEND


@dataclass(frozen=True)
class Member:
    """One way; `make` returns its bytes.

    `key` names it in the results, `name` on the page. `tls`: the public port speaks TLS, also to
    the attackers, unless the bytes are TLS by themselves (`raw`). `one` limits it to a single
    attacker; `page`: error pages of 20 KB are configured.
    """

    key: str
    name: str
    make: Callable[[], Attack]
    port: Port = Port.PUBLIC
    tls: bool = False
    raw: bool = False
    one: bool = False
    page: bool = False


def get(path: str, fields: bytes = b"", method: bytes = b"GET") -> bytes:
    """Return a request without a body."""
    return b"%b %b HTTP/1.1\r\n%b%b\r\n" % (method, path.encode(), _HOST, fields)


def repeated(message: bytes, size: int = BURST) -> bytes:
    """Return `message` again and again, at least once and about `size` bytes."""
    return message * max(1, size // len(message))


def _pipelined(request: bytes) -> Callable[[], Attack]:
    return lambda: Attack(burst=repeated(request))


def _many_fields(count: int) -> bytes:
    return b"".join(b"X-Field-%d: %d\r\n" % (number, number) for number in range(count))


def _chunks_up() -> Attack:
    head = get(f"{EVIL}/swallow", b"Transfer-Encoding: chunked\r\n", b"POST")
    return Attack(head, repeated(b"1\r\nx\r\n"))


def frames(payload: bytes, masked: bool) -> bytes:
    """Return a burst of binary websocket frames; masked with zeros, so that the payload stays."""
    head = bytes([0x82, (0x80 if masked else 0) | len(payload)])
    return repeated(head + (bytes(4) if masked else b"") + payload)


def _frames_up() -> Attack:
    # "Two bytes" is the least a frame has: its head. A client's has a mask of four more.
    opening = get(f"{EVIL}/frames-up", _UPGRADE)
    return Attack(opening, frames(b"", masked=True), sign=b" 101 ")


def _asked_of_target(path: str, fields: bytes = b"") -> Callable[[], Attack]:
    return lambda: Attack(get(f"{EVIL}/{path}", fields), manner=Manner.RECEIVE)


def _trickle() -> Attack:
    return Attack(burst=repeated(get("/nowhere")), segment=1)


def _prior_knowledge() -> Attack:
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)
    return Attack(preface, manner=Manner.KNOCK)


def _cookies() -> Attack:
    cookie = b"Cookie: " + b"; ".join(b"c%d=%d" % (each, each) for each in range(500)) + b"\r\n"
    return Attack(burst=repeated(get("/nowhere", cookie)))


def _client_hello() -> Attack:
    # The expensive part, a signature, is the server's; the same hello serves again and again.
    return Attack(client_hello(), manner=Manner.KNOCK)


MEMBERS = (
    Member("404", "pipelined GET without a route (404)", _pipelined(get("/nowhere"))),
    Member("404-tls", "the same over TLS", _pipelined(get("/nowhere")), tls=True),
    Member("health", "pipelined GET of the health page, one connection",
           _pipelined(get(HEALTH)), one=True),
    Member("503", "pipelined GET of a target that is down (503)", _pipelined(get(f"{DOWN}/x"))),
    Member("fields", "requests with 200 fields",
           _pipelined(get(f"{EVIL}/answer", _many_fields(200)))),
    Member("cookies", "requests with 6 KB of cookies", _cookies),
    Member("target", "pipelined GET of a fast target", _pipelined(get(f"{EVIL}/answer"))),
    Member("chunks-up", "a request body in chunks of one byte", _chunks_up),
    Member("chunks-down", "a response body in chunks of one byte", _asked_of_target("chunks")),
    Member("frames-up", "websocket frames without payload, up", _frames_up),
    Member("frames-down", "websocket frames of two bytes, down",
           _asked_of_target("frames-down", _UPGRADE)),
    Member("interim", "endless 103 responses of a target", _asked_of_target("interim")),
    Member("trickle", "requests a byte at a time, each in a write of its own", _trickle),
    Member("posts", "pipelined POST without a route, each with a body of one byte",
           _pipelined(get("/nowhere", b"Content-Length: 1\r\n", b"POST") + b"x")),
    Member("long-head", "heads that are too long",
           lambda: Attack(get("/nowhere", b"X: " + b"x" * 70_000 + b"\r\n"), manner=Manner.KNOCK)),
    Member("visits", "a new connection for each GET without a route",
           lambda: Attack(get("/nowhere"), manner=Manner.KNOCK)),
    Member("storm", "connections that are reset at once",
           lambda: Attack(manner=Manner.COME_AND_GO)),
    Member("h2", "HTTP/2 with prior knowledge", _prior_knowledge),
    Member("handshakes", "TLS handshakes begun and dropped", _client_hello, tls=True, raw=True),
    Member("redirect", "pipelined GET to the redirect port", _pipelined(get("/x")),
           port=Port.REDIRECT, tls=True),
    Member("api", "pipelined GET to the API without a token", _pipelined(get("/api/routes")),
           port=Port.API),
    Member("metrics", "pipelined GET of the metrics", _pipelined(get("/metrics")),
           port=Port.METRICS),
)  # fmt: skip


def _unread(request: bytes) -> Callable[[], Attack]:
    return lambda: Attack(burst=repeated(request), reads=False)


def _unread_of_target(path: str, fields: bytes = b"") -> Callable[[], Attack]:
    return lambda: Attack(get(f"{EVIL}/{path}", fields), manner=Manner.RECEIVE, reads=False)


UNREAD = (
    Member("unread-page", "GET without a route, an error page of 20 KB", _unread(get("/nowhere")),
           page=True),
    Member("unread-503", "GET of a target that is down", _unread(get(f"{DOWN}/x"))),
    Member("unread-health", "GET of the health page", _unread(get(HEALTH))),
    Member("unread-redirect", "GET to the redirect port", _unread(get("/x")), port=Port.REDIRECT,
           tls=True),
    Member("unread-api", "GET to the API without a token", _unread(get("/api/routes")),
           port=Port.API),
    Member("unread-metrics", "GET of the metrics", _unread(get("/metrics")), port=Port.METRICS),
    Member("unread-long", "one GET of 8 MiB from a target", _unread_of_target("long")),
    Member("unread-chunks", "one GET of a target that sends chunks of one byte",
           _unread_of_target("chunks")),
    Member("unread-frames", "one websocket whose target sends frames of two bytes",
           _unread_of_target("frames-down", _UPGRADE)),
)  # fmt: skip
BY_KEY = {each.key: each for each in (*MEMBERS, *UNREAD)}
