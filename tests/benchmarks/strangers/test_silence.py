"""Silent connections are timed by when the proxy closes them."""

import socket

import pytest

from benchmarks.strangers import silence
from benchmarks.strangers.places import Port


def test_every_row_is_named_once() -> None:
    rows = silence.rows()
    assert len(rows) == len(set(rows))


def test_closed_ones_have_a_time_and_open_ones_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence, "LONGEST", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        ports = {Port.API: server.getsockname()[1]}
        ways = {Port.API: {"nothing": b"", "half": b"GET"}, Port.METRICS: {"nothing": b""}}
        silent = {sock: (row, "it") for row, sock in silence.fallen_silent(ports, ways)}
        peers = [server.accept()[0] for _ in silent]
        for peer in peers:
            # The silent say nothing; the others have said all they will.
            peer.settimeout(0.2)
            try:
                said = peer.recv(10)
            except TimeoutError:
                said = b""
            if said:
                peer.close()
        found = silence.watched(silent)
        for sock in (*silent, *peers):
            sock.close()
    assert found[("API: nothing", "it")] is None
    assert isinstance(found[("API: half", "it")], float)
    assert len(found) == 2
