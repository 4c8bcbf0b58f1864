"""Attackers against a real socket: they send for ever, drop what they get, and come back."""

import socket
import ssl
import threading
from collections.abc import Iterator

import pytest

from benchmarks.strangers.attackers import Attacker, Crowd, Tally
from benchmarks.strangers.members import Attack, Manner

SECONDS = 1.0
_BURST = b"0123456789" * 1000


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.settimeout(20)
        yield sock


def attacking(
    server: socket.socket, attack: Attack, count: int = 1
) -> tuple[Tally, threading.Thread]:
    """Begin to attack, for a short time."""
    tally = Tally()
    crowd = Crowd([Attacker(attack, None, tally) for _ in range(count)], server.getsockname()[1])
    thread = threading.Thread(target=crowd.run, args=(SECONDS,))
    thread.start()
    return tally, thread


def received(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := sock.recv(65536)):
        data += more
    return data


def test_the_burst_follows_the_opening_again_and_again(server: socket.socket) -> None:
    tally, thread = attacking(server, Attack(b"opening.", _BURST, segment=777))
    peer, _ = server.accept()
    with peer:
        data = received(peer, 3 * len(_BURST))
    thread.join()
    assert data[:8] == b"opening."
    assert data[8 : 8 + 2 * len(_BURST)] == 2 * _BURST
    assert tally.sent >= len(data) - 8


def test_nothing_follows_before_the_sign_was_received(server: socket.socket) -> None:
    _, thread = attacking(server, Attack(b"opening.", _BURST, sign=b" 101 "))
    peer, _ = server.accept()
    with peer:
        peer.settimeout(0.2)
        assert received(peer, 8) == b"opening."
        with pytest.raises(TimeoutError):
            peer.recv(1)
        peer.settimeout(20)
        peer.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        assert received(peer, 10)[:10] == _BURST[:10]
    thread.join()


def test_all_that_is_received_is_counted_and_dropped(server: socket.socket) -> None:
    tally, thread = attacking(server, Attack(b"ask", manner=Manner.RECEIVE))
    peer, _ = server.accept()
    with peer:
        assert peer.recv(100) == b"ask"
        peer.sendall(bytes(3_000_000))
        thread.join()
    assert tally.received == 3_000_000


def test_who_does_not_read_leaves_everything_to_the_sender(server: socket.socket) -> None:
    attack = Attack(b"ask", manner=Manner.RECEIVE, reads=False)
    tally, thread = attacking(server, attack)
    peer, _ = server.accept()
    with peer:
        peer.sendall(bytes(1000))
        thread.join()
    assert tally.received == 0


def test_who_is_dropped_comes_back(server: socket.socket) -> None:
    tally, thread = attacking(server, Attack(burst=_BURST))
    for _ in range(3):
        server.accept()[0].close()
    thread.join()
    assert tally.connected >= 3


@pytest.mark.parametrize("manner", [Manner.KNOCK, Manner.COME_AND_GO])
def test_who_only_knocks_resets_and_comes_again(server: socket.socket, manner: Manner) -> None:
    tally, thread = attacking(server, Attack(b"knock", manner=manner))
    for _ in range(3):
        peer, _ = server.accept()
        with peer:
            if manner is Manner.KNOCK:
                peer.sendall(b"who is there?")
            with pytest.raises(ConnectionResetError):
                received(peer, 1000)
    thread.join()
    assert tally.connected >= 3


def test_a_tls_attacker_handshakes_first(server: socket.socket) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    tally = Tally()
    crowd = Crowd([Attacker(Attack(burst=_BURST), context, tally)], server.getsockname()[1])
    thread = threading.Thread(target=crowd.run, args=(0.5,))
    thread.start()
    peer, _ = server.accept()
    with peer:
        assert received(peer, 6)[0] == 0x16  # a handshake record, and nothing of the burst
        thread.join()
    assert tally.sent == 0
