"""The attackers' target floods or swallows as its path says."""

import socket
import threading

import pytest

from benchmarks.processes import free_port
from benchmarks.strangers import target
from benchmarks.strangers.members import get


@pytest.fixture(scope="module")
def port() -> int:
    number = free_port()
    threading.Thread(target=target.serve, args=(number,), daemon=True).start()
    return number


def asked(port: int, request: bytes, size: int) -> bytes:
    """Return at least `size` bytes that follow a request."""
    for _ in range(200):
        try:
            sock = socket.create_connection(("127.0.0.1", port), 20)
            break
        except ConnectionRefusedError:
            threading.Event().wait(0.05)
    with sock:
        sock.sendall(request)
        data = b""
        while len(data) < size and (more := sock.recv(1 << 20)):
            data += more
    return data


@pytest.mark.parametrize(
    ("path", "opening", "message"),
    [
        ("chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (
            "interim",
            b"",
            target.FLOODS["interim"][: target.FLOODS["interim"].index(b"\r\n\r\n") + 4],
        ),
    ],
)
def test_floods_are_whole_messages(port: int, path: str, opening: bytes, message: bytes) -> None:
    size = 3 * len(target.FLOODS[path])
    data = asked(port, get(f"/evil/{path}"), size)
    assert data.startswith(opening)
    body = data.removeprefix(opening)
    count = len(body) // len(message)
    assert body[: count * len(message)] == message * count


def test_frames_follow_a_switch_of_protocols(port: int) -> None:
    key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    data = asked(port, get("/evil/frames-down", key), 100_000)
    head, _, rest = data.partition(b"\r\n\r\n")
    # The key's answer in RFC 6455, section 1.3.
    assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
    assert rest[: len(rest) // 2 * 2] == b"\x82\x00" * (len(rest) // 2)


def test_a_long_response_has_the_length_it_says(port: int) -> None:
    data = asked(port, get("/evil/long"), target.LONG)
    assert b"Content-Length: %d\r\n" % target.LONG in data[:200]
    assert len(data) < target.LONG + 1000


def test_every_request_is_answered_also_when_they_come_in_pieces(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), 20) as sock:
        requests = get("/evil/answer") * 5
        for begin in range(0, len(requests), 30):
            sock.sendall(requests[begin : begin + 30])
        data = b""
        while data.count(b"ok\n") < 5:
            data += sock.recv(65536)
    assert data.count(b"HTTP/1.1 200 OK") == 5
