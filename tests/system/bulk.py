"""A target for large bodies: sends as many bytes as asked for, counts those it gets."""

import contextlib
import socket
from collections.abc import Iterator

from tests.contract.target import Connection, Target, answer

BLOCK = bytes(1 << 20)


def _bulk(connection: Connection) -> None:
    while True:
        request = connection.read_request(body=False)
        if request.line.startswith("GET"):
            send(connection.socket, int(request.path.rpartition("=")[2]))
        else:
            left = int(request.get("Content-Length") or 0)
            count = receive(connection, left)
            connection.send(answer(200, b"%d" % count))


def send(sock: socket.socket, size: int) -> None:
    """Answer 200 with a body of `size` bytes."""
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
    while size:
        block = BLOCK[: min(size, len(BLOCK))]
        sock.sendall(block)
        size -= len(block)


def receive(connection: Connection, size: int) -> int:
    """Read a body of `size` bytes; return how many came."""
    count = 0
    while count < size:
        count += len(connection.read_exactly(min(size - count, len(BLOCK))))
    return count


@contextlib.contextmanager
def bulk_target() -> Iterator[Target]:
    """Run the target until the block ends."""
    target = Target(_bulk)
    try:
        yield target
    finally:
        target.stop()
