"""A client that sends exactly the bytes a test asks for."""

import socket
import ssl
from types import TracebackType
from typing import Self

from tests.contract.wire import BODILESS, PATIENCE, Head, Response, Wire

Address = tuple[str, int] | str
"""A host and a port, or the path of a unix socket."""


def open_socket(address: Address) -> socket.socket:
    """Connect to `address`."""
    if isinstance(address, tuple):
        return socket.create_connection(address, timeout=PATIENCE)
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(PATIENCE)
    try:
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


def head_bytes(method: str, path: str, fields: list[tuple[str, str]]) -> bytes:
    """Return a request's head."""
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")


class Client(Wire):
    """One connection to a proxy; use it as a context manager."""

    def __init__(
        self,
        address: Address,
        tls: ssl.SSLContext | None = None,
        *,
        server_name: str = "localhost",
    ) -> None:
        sock = open_socket(address)
        try:
            super().__init__(tls.wrap_socket(sock, server_hostname=server_name) if tls else sock)
        except BaseException:
            sock.close()
            raise
        self.host = f"{address[0]}:{address[1]}" if isinstance(address, tuple) else "localhost"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def ask(
        self,
        path: str,
        *fields: tuple[str, str],
        method: str = "GET",
        body: bytes | None = None,
    ) -> Response:
        """Send a request and read its whole response.

        A Host field is added if there is none, and a Content-Length if there is a `body`.
        """
        self.start(path, *fields, method=method, body=body)
        return self.read_response(method)

    def start(
        self,
        path: str,
        *fields: tuple[str, str],
        method: str = "GET",
        body: bytes | None = None,
    ) -> None:
        """Send a request as `ask` does and leave the response to be read."""
        given = {name.lower() for name, _ in fields}
        added = [] if "host" in given else [("Host", self.host)]
        if body is not None and not given & {"content-length", "transfer-encoding"}:
            added.append(("Content-Length", str(len(body))))
        self.send(head_bytes(method, path, [*added, *fields]) + (body or b""))

    def read_response_head(self) -> tuple[Head, list[int]]:
        """Read heads up to the first that is not 1xx, 101 apart; return it and those skipped."""
        interim: list[int] = []
        while True:
            head = self.read_head()
            status = int(head.line.split(" ")[1])
            if status >= 200 or status == 101:
                return head, interim
            interim.append(status)

    def read_response(self, method: str = "GET") -> Response:
        """Read a whole response by its framing; without any, up to the end of the stream."""
        head, interim = self.read_response_head()
        response = Response(head.raw, head.line, head.fields, b"", interim)
        if method == "HEAD" or response.status in BODILESS or response.status == 101:
            return response
        framed = {"transfer-encoding", "content-length"} & set(head.names)
        body = self.read_framed(head) if framed else self.read_rest()
        return Response(head.raw, head.line, head.fields, body, interim)
