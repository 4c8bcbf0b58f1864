"""A scriptable target on a real socket that records what the proxy sends."""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from urllib.parse import quote

from tests.contract.wire import PATIENCE, Closed, Request, Wire


def answer(
    status: int = 200,
    body: bytes = b"",
    *fields: tuple[str, str],
    reason: str = "Fine",
    length: bool = True,
) -> bytes:
    """Return a response as bytes, with a Content-Length unless `length` says otherwise."""
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in fields)]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1") + body


def chunked(*parts: bytes) -> bytes:
    """Return `parts` as a chunked body, the last chunk included."""
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in [*parts, b""])


class Connection(Wire):
    """One connection from the proxy, as a script sees it."""

    def __init__(self, sock: socket.socket, number: int, record: Callable[[Request], None]) -> None:
        super().__init__(sock)
        self.number = number
        self._record = record

    def read_request(self, *, body: bool = True) -> Request:
        """Read and record a request; without `body` its body stays unread and unrecorded."""
        head = self.read_head()
        content = self.read_framed(head) if body else b""
        request = Request(head.raw, head.line, head.fields, content, self.number)
        self._record(request)
        return request

    def reset(self) -> None:
        """Break the connection with a TCP reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


Script = Callable[[Connection], None]
"""Serves one connection; it is closed when the script returns."""


def replying(*replies: bytes) -> Script:
    """Answer every request on a connection, the last of `replies` again and again."""

    def script(connection: Connection) -> None:
        remaining = list(replies)
        while True:
            connection.read_request()
            connection.send(remaining.pop(0) if len(remaining) > 1 else remaining[0])

    return script


class Target:
    """Listens at once and serves each connection with `script` in a thread of its own."""

    def __init__(
        self,
        script: Script | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        path: str | None = None,
        address: tuple[str, int] = ("127.0.0.1", 0),
    ) -> None:
        self.script = script or replying(answer(200, b"hello"))
        self.requests: list[Request] = []
        self.connections: list[Connection] = []
        self._changed = threading.Condition()
        self._stopping = False
        self._tls = tls
        self._path = path
        ip = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._listener = socket.socket(socket.AF_UNIX if path else ip)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(path or address)
        self._listener.listen(64)
        self._name = self._listener.getsockname()
        self._threads = [threading.Thread(target=self._accept, name="target")]
        self._threads[0].start()

    @property
    def url(self) -> str:
        """Where the target listens, without a path, to be put into a route."""
        if self._path:
            return f"http+unix://{quote(self._path, safe='')}"
        return f"http{'s' if self._tls else ''}://{self.host}"

    @property
    def host(self) -> str:
        """The target's host and port."""
        host, port = self._name[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @property
    def paths(self) -> list[str]:
        """The request targets received, in order."""
        return [request.path for request in self.requests]

    @property
    def last(self) -> Request:
        """The request received last."""
        return self.requests[-1]

    def wait_for(self, condition: Callable[[], bool], seconds: float = 15.0) -> bool:
        """Wait until `condition` holds after something was received; return whether it does."""
        with self._changed:
            return self._changed.wait_for(condition, seconds)

    def _record(self, request: Request) -> None:
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()

    def _accept(self) -> None:
        # Where a shutdown does not wake an accept (macOS), the timeout does.
        self._listener.settimeout(0.2)
        while not self._stopping:
            try:
                sock, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            sock.settimeout(PATIENCE)
            thread = threading.Thread(target=self._serve, args=(sock,), name="target connection")
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(Closed, OSError), contextlib.closing(sock):
            if self._tls:
                sock = self._tls.wrap_socket(sock, server_side=True)
            with self._changed:
                connection = Connection(sock, len(self.connections), self._record)
                self.connections.append(connection)
                self._changed.notify_all()
            with contextlib.closing(connection):
                self.script(connection)

    def stop(self) -> None:
        """Stop listening, break every connection and wait for the threads."""
        self._stopping = True
        _shut(self._listener)
        self._threads[0].join()
        self._listener.close()
        for connection in self.connections:
            _shut(connection.socket)
        for thread in self._threads:
            thread.join()


def _shut(sock: socket.socket) -> None:
    # Not a close: the descriptor's number could be given away under the thread that reads it.
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
