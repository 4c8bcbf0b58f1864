"""How a worker says where it listens."""

import socket
from pathlib import Path

import pytest

from hubgate.worker.main import address_of


@pytest.mark.parametrize(
    ("family", "host", "shown"),
    [
        (socket.AF_INET, "127.0.0.1", "127.0.0.1"),
        (socket.AF_INET, "0.0.0.0", "*"),
        (socket.AF_INET6, "::1", "[::1]"),
        (socket.AF_INET6, "::", "*"),
    ],
)
def test_an_address_is_shown_as_settings_say_it(
    family: socket.AddressFamily, host: str, shown: str
) -> None:
    with socket.socket(family) as sock:
        sock.bind((host, 0))
        assert address_of(sock) == f"{shown}:{sock.getsockname()[1]}"


def test_a_unix_socket_is_its_path(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "hub.sock"))
        assert address_of(sock) == f"unix:{tmp_path / 'hub.sock'}"
