"""Sockets that somebody else has opened are told apart by where they listen."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest

from hubgate.control.handover import HandedListener
from hubgate.control.listening.activation import GivenSocket, assigned, from_systemd
from hubgate.control.listening.listeners import Listeners
from hubgate.control.listening.sockets import BALANCES_REUSED_PORTS
from hubgate.errors import ConfigError
from hubgate.model import Address
from tests.control.launched import SETTINGS

LOOPBACK = "127.0.0.1"

OpenSocket = Callable[..., socket.socket]


@pytest.fixture
def open_socket() -> Iterator[OpenSocket]:
    """Opens listening sockets that are closed with the test."""
    with ExitStack() as stack:

        def open_one(where: object = (LOOPBACK, 0), family: int = socket.AF_INET) -> socket.socket:
            sock = stack.enter_context(socket.socket(family))
            sock.bind(where)  # type: ignore[arg-type]
            sock.listen()
            return sock

        yield open_one


# --- which is which ---


def environment(count: str, names: str = "", pid: int | None = None) -> dict[str, str]:
    pid = os.getpid() if pid is None else pid
    return {"LISTEN_PID": str(pid), "LISTEN_FDS": count, "LISTEN_FDNAMES": names}


def test_what_is_meant_for_another_process_is_not_taken() -> None:
    environ = environment("1", pid=os.getppid())
    assert from_systemd(environ) == []
    assert environ == {}, "a child of ours would take it"
    assert from_systemd({}) == []


@pytest.mark.parametrize("count", ["two", "", "-1", "٣", "9" * 5000, "30000000"])
def test_a_count_that_is_none_is_one_line(count: str) -> None:
    with pytest.raises(ConfigError) as raised:
        from_systemd(environment(count))
    assert str(raised.value).startswith("LISTEN_FDS: ")
    reason = "is not a valid number of sockets; write a whole number, 0 to 1048576, as systemd does"
    assert str(raised.value).endswith(reason)
    assert len(str(raised.value)) < 200


def test_the_first_that_does_not_listen_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever number there should be of them."""
    looked_at: list[object] = []

    def look(given: GivenSocket) -> GivenSocket:
        looked_at.append(given)
        raise ConfigError("LISTEN_FDS: descriptor 3 is not a listening socket")

    monkeypatch.setattr("hubgate.control.listening.activation._taken", look)
    with pytest.raises(ConfigError):
        from_systemd(environment("1000000"))
    assert looked_at == [GivenSocket(3)]


@pytest.mark.parametrize("host", [LOOPBACK, "localhost"])
def test_a_socket_is_known_by_its_address(open_socket: OpenSocket, host: str) -> None:
    public, api = open_socket(), open_socket()
    settings = replace(
        SETTINGS,
        listen=(Address(host, public.getsockname()[1]),),
        api=(Address(host, api.getsockname()[1]),),
    )
    given = [GivenSocket(sock.fileno()) for sock in (api, public)]
    found = {each.purpose: each.fds for each in assigned(given, settings)}
    assert found == {"--port": (public.fileno(),), "--api-port": (api.fileno(),)}


@pytest.mark.parametrize("host", ["", "::"])
def test_all_interfaces_are_an_address_too(open_socket: OpenSocket, host: str) -> None:
    sock = open_socket(("::", 0), socket.AF_INET6)
    settings = replace(SETTINGS, listen=(Address(host, sock.getsockname()[1]),))
    assert assigned([GivenSocket(sock.fileno())], settings)[0].purpose == "--port"


def test_another_address_than_configured_is_one_line(open_socket: OpenSocket) -> None:
    sock = open_socket()
    settings = replace(SETTINGS, listen=(Address(LOOPBACK, 8000),), api=(Address(LOOPBACK, 8001),))
    with pytest.raises(ConfigError) as error:
        assigned([GivenSocket(sock.fileno(), "hubgate.socket")], settings)
    port = sock.getsockname()[1]
    assert str(error.value) == (
        f"LISTEN_FDS: descriptor {sock.fileno()} (hubgate.socket) listens on 127.0.0.1:{port}, "
        "not on 127.0.0.1:8000 or 127.0.0.1:8001; ListenStream= and the settings must agree"
    )


def test_a_name_says_what_the_socket_is_for(open_socket: OpenSocket) -> None:
    sock = open_socket()
    settings = replace(SETTINGS, listen=(Address(LOOPBACK, sock.getsockname()[1]),))
    assert assigned([GivenSocket(sock.fileno(), "public")], settings)[0].purpose == "--port"
    with pytest.raises(ConfigError, match=r"\(api\) listens on \S+, not on 127.0.0.1:0; "):
        assigned([GivenSocket(sock.fileno(), "api")], settings)


# --- who listens on which ---


def handed(sock: socket.socket) -> HandedListener:
    return HandedListener("--port", f"{LOOPBACK}:0", (os.dup(sock.fileno()),), borrowed=True)


@pytest.mark.skipif(not BALANCES_REUSED_PORTS, reason="workers share the socket")
def test_workers_beyond_the_first_get_sockets_beside_the_given_one(open_socket: OpenSocket) -> None:
    given = open_socket()
    with closing(Listeners(replace(SETTINGS, workers=3), [handed(given)])) as listeners:
        (listener,) = listeners.public
        assert [sock.getsockname() for sock in listener.sockets] == [given.getsockname()] * 3
        first = {each.fd for each in listeners.of_worker(0)}
        assert os.fstat(first.pop()).st_ino == os.fstat(given.fileno()).st_ino


def test_each_worker_gets_one_of_the_sockets_that_are_given_for_one_address() -> None:
    with ExitStack() as stack:
        socks: list[socket.socket] = []
        for _ in range(2):
            sock = stack.enter_context(socket.socket())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind(socks[0].getsockname() if socks else (LOOPBACK, 0))
            sock.listen()
            socks.append(sock)
        address = Address(*socks[0].getsockname())
        settings = replace(SETTINGS, listen=(address,), workers=2)
        given = [GivenSocket(os.dup(sock.fileno())) for sock in socks]
        with closing(Listeners(settings, assigned(given, settings))) as listeners:
            fds = [each.fd for index in range(2) for each in listeners.of_worker(index)]
            assert [os.fstat(fd).st_ino for fd in fds] == [
                os.fstat(sock.fileno()).st_ino for sock in socks
            ]


def test_workers_share_a_given_socket_that_has_no_sockets_beside_it(
    open_socket: OpenSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when another user has opened it: the kernel then lets nobody else share the port."""
    given = open_socket()

    def refuse(*_: object, **__: object) -> list[socket.socket]:
        raise ConfigError("cannot listen: the port is in use")

    monkeypatch.setattr("hubgate.control.listening.sockets._reused", refuse)
    with closing(Listeners(replace(SETTINGS, workers=3), [handed(given)])) as listeners:
        fds = [each.fd for index in range(3) for each in listeners.of_worker(index)]
        assert {os.fstat(fd).st_ino for fd in fds} == {os.fstat(given.fileno()).st_ino}
        assert len(fds) == 3
    assert given.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) == 0


def test_every_worker_listens_on_each_given_address(open_socket: OpenSocket) -> None:
    """Else all who come over one protocol would meet one worker."""
    four = open_socket(("0.0.0.0", 0))
    port = four.getsockname()[1]
    with socket.socket(socket.AF_INET6) as six:
        six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        six.bind(("::", port))
        six.listen()
        settings = replace(SETTINGS, listen=(Address("", port),), workers=2)
        given = [GivenSocket(os.dup(sock.fileno())) for sock in (four, six)]
        with closing(Listeners(settings, assigned(given, settings))) as listeners:
            for index in range(2):
                families = [
                    listener.of_worker(index).family
                    for listener in listeners.public
                    if listener.of_worker(index).fileno()
                    in {each.fd for each in listeners.of_worker(index)}
                ]
                assert families == [socket.AF_INET, socket.AF_INET6]
            again = listeners.hand_over()
            assert sum(len(each.fds) for each in again if each.purpose == "--port") >= 2
            for fd in (fd for each in again for fd in each.fds):
                os.close(fd)


def test_the_file_of_a_given_unix_socket_is_not_removed(
    open_socket: OpenSocket, tmp_path: Path
) -> None:
    path = str(tmp_path / "hub.sock")
    given = open_socket(path, socket.AF_UNIX)
    settings = replace(SETTINGS, listen=(Address(path=path),))
    found = assigned([GivenSocket(os.dup(given.fileno()))], settings)
    with closing(Listeners(settings, found)) as listeners:
        upgraded = listeners.hand_over()
    assert os.path.exists(path)
    again = [each for each in upgraded if each.purpose == "--port"]
    Listeners(settings, again).close()
    for fd in (fd for each in upgraded if each not in again for fd in each.fds):
        os.close(fd)
    assert os.path.exists(path), "forgotten at an upgrade"
