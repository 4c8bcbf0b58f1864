"""A target that dies in mid-body: the client sees a broken transfer, never a short complete one."""

import http.client
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.target import Connection, Script, Target
from tests.system.served import Served, serving

PART = b"x" * 100_000
HEADS = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + PART,
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n" + PART + b"\r\n",
    "until close": b"HTTP/1.1 200 OK\r\n\r\n" + PART,
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("serve")
    with serving(folder, "--log-level", "error") as served:
        yield served


def dying(data: bytes, reset: bool) -> Script:
    """Send a part of a body, then die: with a reset, as a killed process does, or an end."""

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(data)
        if reset:
            connection.reset()
        else:
            connection.socket.shutdown(socket.SHUT_RDWR)

    return script


ENDS = (("length", False), ("length", True), ("chunked", False), ("chunked", True))


@pytest.mark.parametrize(("framing", "reset"), [*ENDS, ("until close", True)])
def test_a_body_cut_short(served: Served, framing: str, reset: bool) -> None:
    target = Target(dying(HEADS[framing], reset))
    try:
        served.add("/", target.url)
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
        connection.request("GET", "/")
        response = connection.getresponse()
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            response.read()
        connection.close()
    finally:
        target.stop()


def test_a_body_cut_short_for_a_client_of_http_1_0(served: Served) -> None:
    target = Target(dying(HEADS["chunked"], reset=False))
    try:
        served.add("/", target.url)
        with socket.create_connection(("127.0.0.1", served.port), timeout=30) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            # The connection's end is all that ends such a body: only a reset can say broken.
            with pytest.raises(ConnectionResetError):
                _read_all(client)
    finally:
        target.stop()


def _read_all(client: socket.socket) -> None:
    while client.recv(65536):
        pass
