"""A target that acts on a request and closes without a word, and counts what it is sent."""

import contextlib
import re
import socket
import threading
from collections import Counter
from collections.abc import Iterator

_END = b"\r\n\r\n"
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Counting:
    """Serves connections in threads. `seen` counts requests by path, `reused` those after others.

    A request on a connection of its own is answered; one on a connection that has already been
    used is taken, and the connection closed.
    """

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.reused: Counter[str] = Counter()

    @contextlib.contextmanager
    def serving(self) -> Iterator[int]:
        """Serve until the block ends; yield the port."""
        with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
            threading.Thread(target=self._accept, args=(server,), daemon=True).start()
            yield int(server.getsockname()[1])

    def _accept(self, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = server.accept()
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            sock.settimeout(30)
            first = True
            while path := _request(sock):
                self.seen[path] += 1
                if not first:
                    self.reused[path] += 1
                    return
                sock.sendall(_OK)
                first = False


def _request(sock: socket.socket) -> str:
    data = b""
    while _END not in data:
        more = sock.recv(65536)
        if not more:
            return ""
        data += more
    found = re.match(rb"\S+ (\S+)", data)
    return found[1].decode() if found else ""
