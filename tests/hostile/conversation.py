"""The client's side: a connection to a proxy that reads strictly and has some patience."""

import contextlib
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.hostile.answers import Answer, read_answer


@dataclass(frozen=True)
class Port:
    """A port of a proxy; `tls` when the client is to speak TLS there."""

    number: int
    tls: ssl.SSLContext | None = None


class Conversation:
    """One client connection; reads strictly and never longer than `patience` seconds."""

    def __init__(self, port: Port, patience: float) -> None:
        sock = socket.create_connection(("127.0.0.1", port.number), timeout=patience)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = port.tls.wrap_socket(sock, server_hostname="localhost") if port.tls else sock
        self.buffer = b""
        self.ended = False
        self.timed_out = False
        self._patience = patience

    def send(self, data: bytes) -> None:
        """Send; a proxy that has closed already is no error."""
        with contextlib.suppress(OSError):
            self.socket.sendall(data)

    def half_close(self) -> None:
        """Send an end of stream."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def receive(self, patience: float | None = None) -> None:
        """Read once; note an end, a reset or a silence of more than `patience` seconds."""
        try:
            self.socket.settimeout(self._patience if patience is None else patience)
            data = self.socket.recv(65536)
        except TimeoutError:
            self.timed_out = True
        except OSError:
            self.ended = True
        else:
            self.ended = not data
            self.buffer += data

    def answer(self, bodiless: bool = False) -> Answer | None:
        """Return the next final answer, None at the end or after a silence."""
        while True:
            taken = read_answer(self.buffer, self.ended, bodiless)
            if taken is not None:
                answer, self.buffer = taken
                if answer.status >= 200 or answer.status == 101:
                    return answer
            elif self.ended or self.timed_out:
                return None
            else:
                self.receive()

    def wait(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds, for as long as there is patience."""
        deadline = time.monotonic() + self._patience
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.005)

    def close(self) -> None:
        """Close both directions."""
        self.socket.close()
