"""To whom a connection goes, as far as the kernel tells."""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from hubgate.cli.api.socket_owners import SocketOwners

STRANGER = 345_678


@contextmanager
def as_user(uid: int) -> Iterator[None]:
    if os.geteuid() != 0:
        pytest.skip("only root can be another user")
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


def listening(host: str, port: int = 0, *, only: bool = True) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
    sock.bind((host, port))
    sock.listen()
    return sock


def owners(url: str) -> list[int]:
    return [each.uid for each in SocketOwners().at(url)]


@pytest.mark.parametrize(
    ("host", "only", "asked", "reached"),
    [
        ("127.0.0.1", True, "127.0.0.1", True),
        ("127.0.0.1", True, "localhost", True),
        ("127.0.0.1", True, "127.0.0.2", False),
        ("127.0.0.1", True, "[::1]", False),
        ("127.0.0.1", True, "[::ffff:127.0.0.1]", True),
        ("0.0.0.0", True, "127.0.0.1", True),
        ("0.0.0.0", True, "[::1]", False),
        ("::1", True, "[::1]", True),
        ("::1", True, "[0:0:0:0:0:0:0:1]", True),
        ("::1", True, "localhost", True),
        ("::1", True, "127.0.0.1", False),
        ("::", False, "127.0.0.1", True),
        ("::", True, "[::1]", True),
        ("::ffff:127.0.0.1", False, "127.0.0.1", True),
    ],
)
def test_where_a_connection_goes(host: str, only: bool, asked: str, reached: bool) -> None:
    with listening(host, only=only) as sock:
        port = sock.getsockname()[1]
        assert owners(f"http://{asked}:{port}") == [os.geteuid()] * reached
        assert owners(f"http://proxy.example.org:{port}") == []
        assert SocketOwners().others(f"http://{asked}:{port}") == set()


def test_the_more_special_address_wins_and_a_name_is_several() -> None:
    with ExitStack() as stack:
        first = stack.enter_context(listening("127.0.0.1"))
        port = first.getsockname()[1]
        with as_user(STRANGER):
            stack.enter_context(listening("::", port, only=True))
        assert owners(f"http://127.0.0.1:{port}") == [0]
        assert owners(f"http://[::1]:{port}") == [STRANGER]
        assert owners(f"http://localhost:{port}") == [0, STRANGER]
        assert SocketOwners().others(f"https://localhost:{port}") == {STRANGER}


def test_one_that_only_has_a_port_or_a_connection_is_none() -> None:
    with socket.socket() as bound, listening("127.0.0.1") as server:
        bound.bind(("127.0.0.1", 0))
        assert owners(f"http://127.0.0.1:{bound.getsockname()[1]}") == []
        with socket.create_connection(server.getsockname()) as client:
            assert owners(f"http://127.0.0.1:{client.getsockname()[1]}") == []


def test_a_unix_socket_is_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "api"
    url = f"http+unix://{quote(str(path), safe='')}"
    assert owners(url) == []
    path.touch()
    assert owners(url) == []
    path.unlink()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        assert owners(url) == [os.geteuid()]
        if os.geteuid() == 0:
            assert not SocketOwners().are_of(url, STRANGER, os.getpid())
            os.chown(path, STRANGER, STRANGER)
            assert SocketOwners().are_of(url, STRANGER, os.getpid())
            assert SocketOwners().others(url) == {STRANGER}


def test_a_socket_that_root_opened_is_of_the_process_that_has_it() -> None:
    """As with systemd's: a service that runs as another user gets it from root."""
    with as_user(0), listening("127.0.0.1") as sock:
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        assert SocketOwners().are_of(url, STRANGER, os.getpid())
        assert not SocketOwners().are_of(url, STRANGER, os.getppid())
        assert not SocketOwners().are_of(url, STRANGER, 1 << 30)
    assert not SocketOwners().are_of(url, STRANGER, os.getpid())


@pytest.mark.parametrize("line", [None, "", "0: 0100007F:1F41 x 0A x x x me 0 7", "0: é:1 x 0A"])
def test_without_proc_nothing_is_known(
    line: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if line is not None:
        (tmp_path / "table").write_text(f"head\n{line}\n{line}")
    monkeypatch.setattr("hubgate.cli.api.socket_owners._TABLES", (tmp_path / "table",))
    with listening("127.0.0.1") as sock:
        assert owners(f"http://127.0.0.1:{sock.getsockname()[1]}") == []
