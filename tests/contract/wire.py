"""HTTP/1.1 as bytes on a socket: what was really sent and received, nothing smoothed over."""

import socket
from dataclasses import dataclass, field

Fields = list[tuple[str, str]]

PATIENCE = 15.0
"""Seconds a test waits for something that is going to happen."""

BODILESS = frozenset({204, 304})


class Closed(Exception):
    """The peer closed its side before the message was complete; `args[0]` is what came."""


@dataclass(frozen=True)
class Head:
    """A start line and its header fields, as they stood on the wire."""

    raw: bytes
    line: str
    fields: Fields

    def get(self, name: str) -> str | None:
        """Return the value of `name`, several ones joined by a comma, or None."""
        values = self.all(name)
        return ", ".join(values) if values else None

    def all(self, name: str) -> list[str]:
        """Return every value of `name`, in the order received."""
        return [value for key, value in self.fields if key.lower() == name.lower()]

    @property
    def names(self) -> list[str]:
        """The field names in lower case, in the order received."""
        return [key.lower() for key, _ in self.fields]


@dataclass(frozen=True)
class Request(Head):
    """A request as a target saw it; `connection` numbers the target's connections from 0."""

    body: bytes = b""
    connection: int = 0

    @property
    def method(self) -> str:
        """GET, POST, ..."""
        return self.line.split(" ")[0]

    @property
    def path(self) -> str:
        """The request target with its query, undecoded."""
        return self.line.split(" ")[1]


@dataclass(frozen=True)
class Response(Head):
    """A response as a client saw it; `interim` are the 1xx statuses that came before it."""

    body: bytes = b""
    interim: list[int] = field(default_factory=list)

    @property
    def status(self) -> int:
        """The status code."""
        return int(self.line.split(" ")[1])

    @property
    def reason(self) -> str:
        """The reason phrase."""
        return self.line.partition(" ")[2].partition(" ")[2]


class Wire:
    """A socket with a read buffer; every read raises `Closed` at an early end of the stream."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.socket.settimeout(PATIENCE)
        self.buffer = b""

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        self.socket.sendall(data)

    def _fill(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise Closed(self.buffer)
        self.buffer += data

    def read_until(self, mark: bytes) -> bytes:
        """Read up to and with `mark`."""
        while mark not in self.buffer:
            self._fill()
        end = self.buffer.index(mark) + len(mark)
        data, self.buffer = self.buffer[:end], self.buffer[end:]
        return data

    def read_exactly(self, size: int) -> bytes:
        """Read `size` bytes."""
        parts, missing = [self.buffer[:size]], size - len(self.buffer)
        self.buffer = self.buffer[size:]
        while missing > 0:
            data = self.socket.recv(min(missing, 1 << 20))
            if not data:
                raise Closed(b"".join(parts))
            parts.append(data)
            missing -= len(data)
        return b"".join(parts)

    def read_rest(self) -> bytes:
        """Read until the peer closes; a reset counts as closing."""
        try:
            while True:
                self._fill()
        except (Closed, ConnectionError):
            data, self.buffer = self.buffer, b""
            return data

    def read_chunk(self) -> bytes:
        """Read one chunk of a chunked body; b"" is the last one, its trailer read too."""
        size = int(self.read_until(b"\r\n").split(b";")[0], 16)
        if size:
            return self.read_exactly(size + 2)[:-2]
        while self.read_until(b"\r\n") != b"\r\n":
            pass
        return b""

    def read_chunked(self) -> bytes:
        """Read a whole chunked body."""
        return b"".join(iter(self.read_chunk, b""))

    def read_head(self) -> Head:
        """Read a start line and its fields."""
        raw = self.read_until(b"\r\n\r\n")
        line, *rest = raw[:-4].decode("latin-1").split("\r\n")
        pairs = [item.partition(":") for item in rest]
        return Head(raw, line, [(name, value.strip()) for name, _, value in pairs])

    def read_framed(self, head: Head) -> bytes:
        """Read the body that `head` announces by a length or as chunked; b"" for neither."""
        if "chunked" in (head.get("transfer-encoding") or ""):
            return self.read_chunked()
        return self.read_exactly(int(head.get("content-length") or 0))

    def closes(self) -> bool:
        """Say whether the peer closes or resets the connection without another byte."""
        try:
            return not self.buffer and self.socket.recv(1) == b""
        except ConnectionError:
            return True

    def close(self) -> None:
        """Close both directions."""
        self.socket.close()
