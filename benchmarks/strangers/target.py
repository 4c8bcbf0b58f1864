"""`target.py PORT`: the attackers' own target, which floods the proxy from the other side.

What follows on a connection is decided by the first request's path: `answer` is a small response
to every request; `swallow` and `frames-up` read for ever; `chunks`, `frames-down` and `interim`
send for ever.
"""

import base64
import hashlib
import re
import resource
import select
import socket
import sys
from contextlib import suppress

from benchmarks.strangers.members import frames, repeated
from benchmarks.strangers.places import EVIL

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n"
_LONG = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 8388608\r\n\r\n"
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
_SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: %b\r\n\r\n"
)
_END = b"\r\n\r\n"
FLOODS = {
    "chunks": repeated(b"1\r\nx\r\n"),
    "frames-down": frames(b"", masked=False),
    "interim": repeated(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"),
    "long": bytes(1 << 18),
}
LONG = 8 << 20


def opening(path: str, head: bytes) -> bytes:
    """Return what the target sends first, to a request for `path` with that head."""
    if path in ("frames-up", "frames-down"):
        key = re.search(rb"(?i)sec-websocket-key: *(\S+)", head)
        digest = hashlib.sha1((key[1] if key else b"") + _GUID).digest()
        return _SWITCH % base64.b64encode(digest)
    return {"chunks": _CHUNKED, "long": _LONG}.get(path, b"")


class Peer:
    """One connection from the proxy."""

    scratch = bytearray(1 << 18)

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self._path = ""
        self._tail = b""
        self._out = memoryview(b"")
        self._flood = memoryview(b"")
        self._left = 0

    @property
    def interest(self) -> int:
        """What epoll should report."""
        return select.EPOLLIN | (select.EPOLLOUT if self._out or self._left else 0)

    def step(self, events: int) -> bool:
        """Move bytes; return False when the connection is over."""
        try:
            if events & ~select.EPOLLOUT and not self._receive():
                return False
            self._send()
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True

    def _receive(self) -> bool:
        size = self.sock.recv_into(self.scratch)
        if not size:
            return False
        if self._path not in ("", "answer"):
            return True
        data = self._tail + bytes(self.scratch[:size])
        requests = data.count(_END)
        self._tail = data[data.rfind(_END) + len(_END) :] if requests else data
        if requests and not self._path:
            self._begin(data)
        if self._path == "answer":
            # A proxy that pipelines and does not read would get no more of it.
            self._out = memoryview(bytes(self._out) + _OK * requests)
        return True

    def _begin(self, data: bytes) -> None:
        found = re.match(rb"\S+ %b/([a-z-]*)" % EVIL.encode(), data)
        self._path = found[1].decode() if found else "swallow"
        self._out = memoryview(opening(self._path, data))
        self._flood = memoryview(FLOODS.get(self._path, b""))
        self._left = (LONG if self._path == "long" else sys.maxsize) if self._flood else 0

    def _send(self) -> None:
        while self._out:
            self._out = self._out[self.sock.send(self._out) :]
        for _ in range(4):
            if not self._left:
                break
            # A flood is a whole number of messages: it goes on where the last write ended.
            size = self.sock.send(self._flood[: self._left])
            self._left -= size
            if size < len(self._flood):
                self._out = self._flood[size : size + self._left]
                self._left -= len(self._out)
                break


def serve(port: int) -> None:
    """Serve for ever."""
    server = socket.create_server(("127.0.0.1", port), backlog=4096)
    epoll = select.epoll()
    epoll.register(server, select.EPOLLIN)
    peers: dict[int, Peer] = {}
    while True:
        for descriptor, events in epoll.poll():
            if descriptor == server.fileno():
                peer = Peer(server.accept()[0])
                peers[peer.sock.fileno()] = peer
                epoll.register(peer.sock, peer.interest)
            elif not (peer := peers[descriptor]).step(events):
                del peers[descriptor]
                peer.sock.close()
            else:
                epoll.modify(descriptor, peer.interest)


if __name__ == "__main__":
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with suppress(KeyboardInterrupt):
        serve(int(sys.argv[1]))
