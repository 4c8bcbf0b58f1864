"""Plain sockets on both sides of a proxy: what is sent and when is the test's to say."""

import socket
from functools import cached_property
from types import TracebackType

PATIENCE = 30.0


class Wire:
    """One connection; leaving its block closes it."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(PATIENCE)
        self.socket = sock

    def __enter__(self) -> "Wire":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, where: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        self.socket.sendall(data)

    def read_head(self) -> bytes:
        """Return the next head, byte for byte."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            more = self.socket.recv(1)
            if not more:
                break
            head += more
        return head

    @cached_property
    def answer(self) -> bytes:
        """The head of the first answer."""
        return self.read_head()

    @property
    def status(self) -> int:
        """The status of the first answer."""
        return int(self.answer.split(b" ")[1])

    def ends(self) -> bool:
        """Wait for the other side's end, past whatever comes before it."""
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionResetError:
            pass
        return True


class Listening:
    """A target whose connections are taken one by one."""

    def __init__(self, backlog: int = 128) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(backlog)
        self._socket.settimeout(PATIENCE)

    def __enter__(self) -> "Listening":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._socket.getsockname()[1])

    @property
    def url(self) -> str:
        """What a route names as its target."""
        return f"http://127.0.0.1:{self.port}"

    def accept(self) -> Wire:
        """Return the next connection, the head of its first request read."""
        wire = Wire(self._socket.accept()[0])
        wire.read_head()
        return wire

    @property
    def untouched(self) -> bool:
        """Whether nobody is waiting to be accepted."""
        self._socket.settimeout(0)
        try:
            self._socket.accept()[0].close()
        except BlockingIOError:
            return True
        finally:
            self._socket.settimeout(PATIENCE)
        return False


def connect(port: int, data: bytes = b"") -> Wire:
    """Return a new connection that has sent `data`."""
    wire = Wire(socket.create_connection(("127.0.0.1", port), PATIENCE))
    wire.send(data)
    return wire
