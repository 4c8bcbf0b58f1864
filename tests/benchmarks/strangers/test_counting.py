"""The counting target answers on a new connection, and takes a second request without a word."""

import socket

from benchmarks.strangers.counting import Counting
from benchmarks.strangers.members import get


def test_a_second_request_is_counted_and_the_connection_closed() -> None:
    counting = Counting()
    with counting.serving() as port, socket.create_connection(("127.0.0.1", port), 20) as sock:
        sock.sendall(get("/first"))
        assert sock.recv(1000).endswith(b"ok")
        sock.sendall(get("/second", method=b"POST"))
        assert sock.recv(1000) == b""
    assert counting.seen == {"/first": 1, "/second": 1}
    assert counting.reused == {"/second": 1}


def test_the_same_on_new_connections_is_answered_and_counted() -> None:
    counting = Counting()
    with counting.serving() as port:
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", port), 20) as sock:
                sock.sendall(get("/again"))
                assert sock.recv(1000).endswith(b"ok")
    assert counting.seen == {"/again": 2}
    assert not counting.reused
