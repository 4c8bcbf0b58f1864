"""How long each port keeps a connection on which a stranger falls silent."""

import contextlib
import select
import socket
import threading
import time
from collections.abc import Iterator, Mapping

from benchmarks.api import TOKEN
from benchmarks.strangers.handshake import client_hello
from benchmarks.strangers.members import get
from benchmarks.strangers.places import EVIL, HONEST, Port
from benchmarks.strangers.proxies import Ground, Wish, attacked

LONGEST = 100.0
_LENGTH = b"Content-Length: 100\r\n"
_HALF_HEAD = b"GET /x HTTP/1.1\r\nHost: 127."
_HALF_BODY = get(f"{EVIL}/swallow", _LENGTH, b"POST") + b"x"
_KEPT = get(f"{HONEST}/small")
_AUTHORIZED = b"Authorization: token %b\r\n" % TOKEN.encode()
_API_BODY = get("/api/routes/x", _LENGTH + _AUTHORIZED, b"POST") + b"{"
_NOTHING, _HEAD = "nothing at all", "half a head"
# By port of a proxy without TLS and of one with it: what is sent before the silence.
PLAIN: dict[Port, dict[str, bytes]] = {
    Port.PUBLIC: {
        _NOTHING: b"", _HEAD: _HALF_HEAD, "half a body": _HALF_BODY, "a whole request": _KEPT,
    },
    Port.API: {_NOTHING: b"", _HEAD: _HALF_HEAD, "half a body, right token": _API_BODY},
    Port.METRICS: {_NOTHING: b"", _HEAD: _HALF_HEAD},
}  # fmt: skip
TLS: dict[Port, dict[str, bytes]] = {
    Port.PUBLIC: {
        "nothing at all, TLS": b"",
        "half a ClientHello": client_hello()[:100],
        "a handshake never finished": client_hello(),
    },
    Port.REDIRECT: {_NOTHING: b"", _HEAD: _HALF_HEAD},
}
# How many of each.
COPIES = 3
_LOOK = 0.5
# Set by another thread to give up.
stop = threading.Event()


def rows() -> list[str]:
    """Return what is tried, in order, as port and words."""
    return [
        f"{port.value}: {words}" for each in (PLAIN, TLS) for port in each for words in each[port]
    ]


def closed_after(names: list[str], ground: Ground) -> dict[str, dict[str, float | None]]:
    """Return the seconds by row and contender, None for one that was still open at the end."""
    with contextlib.ExitStack() as stack:
        there = [
            (name, ports, stack.enter_context(attacked(name, ground, Wish(tls=tls))).ports)
            for name in names
            for tls, ports in ((False, PLAIN), (True, TLS))
        ]
        silent = {
            stack.enter_context(sock): (row, name)
            for name, ports, own in there
            for row, sock in fallen_silent(own, ports)
        }
        found: dict[str, dict[str, float | None]] = {}
        for (row, name), seconds in watched(silent).items():
            found.setdefault(row, {})[name] = seconds
        return found


def fallen_silent(
    there: Mapping[Port, int], ports: Mapping[Port, Mapping[str, bytes]]
) -> Iterator[tuple[str, socket.socket]]:
    """Yield connections after each way to begin, with the name of its row."""
    for port, ways in ports.items():
        for words, sent in ways.items():
            for _ in range(COPIES if port in there else 0):
                sock = socket.create_connection(("127.0.0.1", there[port]), 5)
                sock.sendall(sent)
                sock.setblocking(False)
                yield f"{port.value}: {words}", sock


def watched(
    silent: Mapping[socket.socket, tuple[str, str]],
) -> dict[tuple[str, str], float | None]:
    """Return the seconds after which the last of each kind was closed."""
    found: dict[tuple[str, str], float | None] = {}
    waiting, begun = dict(silent), time.monotonic()
    poll = select.poll()
    by_number = {sock.fileno(): sock for sock in silent}
    for sock in silent:
        poll.register(sock, select.POLLIN)
    while waiting and not stop.is_set() and (left := begun + LONGEST - time.monotonic()) > 0:
        for number, _ in poll.poll(1000 * min(left, _LOOK)):
            sock = by_number[number]
            if _over(sock):
                poll.unregister(sock)
                found[waiting.pop(sock)] = time.monotonic() - begun
    return {**found, **dict.fromkeys(waiting.values())}


def _over(sock: socket.socket) -> bool:
    try:
        return not sock.recv(65536)
    except BlockingIOError:
        return False
    except OSError:
        return True
