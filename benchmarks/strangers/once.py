"""How often a request without a body arrives at a target that took it and closed."""

import itertools
import socket
from contextlib import suppress

from benchmarks.strangers.counting import Counting
from benchmarks.strangers.members import get
from benchmarks.strangers.places import COUNTED, Port
from benchmarks.strangers.proxies import Ground, Wish, attacked

_UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: eA==\r\n"
_EMPTY = b"Content-Length: 0\r\n"
# By RFC 9110, 9.2.2, the first three may be sent again, and none of the others.
REQUESTS: dict[str, tuple[bytes, bytes]] = {
    "GET": (b"GET", b""),
    "PUT, Content-Length: 0": (b"PUT", _EMPTY),
    "DELETE": (b"DELETE", b""),
    "POST": (b"POST", b""),
    "POST, Content-Length: 0": (b"POST", _EMPTY),
    "PATCH": (b"PATCH", b""),
    "PATCH, Content-Length: 0": (b"PATCH", _EMPTY),
    "LOCK": (b"LOCK", b""),
    "GET, upgrade to a websocket": (b"GET", _UPGRADE),
}
AGAIN_ALLOWED = 3
_TRIES = 5
_numbers = itertools.count()


def times_sent(name: str, ground: Ground, counting: Counting) -> dict[str, int]:
    """Return by kind of request the most often that one of several arrived.

    0: it never came over a connection that had been used before, so this says nothing.
    """
    with attacked(name, ground, Wish()) as started:
        port = started.ports[Port.PUBLIC]
        return {
            kind: max(_sent(port, method, fields, counting) for _ in range(_TRIES))
            for kind, (method, fields) in REQUESTS.items()
        }


def _sent(port: int, method: bytes, fields: bytes, counting: Counting) -> int:
    number = next(_numbers)
    path = f"{COUNTED}/{number}"
    with socket.create_connection(("127.0.0.1", port), 5) as sock:
        sock.sendall(get(f"{COUNTED}/first-{number}"))
        if not sock.recv(65536):
            raise RuntimeError("a first request was not answered")
        sock.sendall(get(path, fields, method))
        # Answered once it was given up, or sent again to the end.
        with suppress(OSError):
            sock.recv(65536)
    return counting.seen[path] if counting.reused[path] else 0
