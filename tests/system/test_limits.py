"""Each limit, tried at a proxy with small ones: what the client gets, and what the log says."""

import contextlib
import re
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.polling import eventually
from tests.system.served import Served, serving
from tests.system.sockets import Listening, Wire, connect

SETTINGS = """
limits: {request_line: 1024, head: 1024, headers: 8, body: 1000}
timeouts: {head: 1, body: 1, keep_alive: 1, connect: 1, ready: 0, response: 2}
"""
GET = b"GET /a HTTP/1.1\r\nHost: hub\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: hub\r\n"
UPGRADE = GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
NOTHING = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Tried:
    """A proxy with one target, whose connections tests take themselves, and its log."""

    def __init__(self, served: Served, target: Listening, log: Path) -> None:
        self.served = served
        self.target = target
        self._log = log

    def client(self, data: bytes = b"") -> Wire:
        """Return a new connection that has sent `data`."""
        return connect(self.served.port, data)

    def logged(self, pattern: str) -> bool:
        """Wait for a line like that, and until the next one of its kind is logged again."""
        found = eventually(lambda: re.search(pattern, self._log.read_text()) is not None, 10)
        time.sleep(1.1)
        return found


@pytest.fixture(scope="module")
def tried(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tried]:
    """Run a proxy with SETTINGS; one with other settings where a test names them."""
    folder = tmp_path_factory.mktemp("limits")
    (folder / "routes.yaml").write_text(getattr(request, "param", SETTINGS))
    with Listening() as target, serving(folder) as served:
        served.add("/a", target.url)
        yield Tried(served, target, folder / "serve.log")


def limited(settings: str) -> pytest.MarkDecorator:
    """Have a test's proxy run with other settings."""
    return pytest.mark.parametrize("tried", [settings], indirect=True)


HEADS = {
    "request_line": (
        GET.replace(b"/a", b"/" + b"y" * 1100) + b"\r\n",
        414,
        "the request line is too",
    ),
    "head": (
        GET + b"X: " + b"y" * 1100 + b"\r\n\r\n",
        431,
        "the request's headers are over 1024 b",
    ),
    "headers": (GET + b"X: y\r\n" * 9 + b"\r\n", 431, "more than 8 header lines"),
    "body": (POST + b"Content-Length: 1001\r\n\r\n", 413, "the request's body is over 1000 b"),
    "timeouts.head": (GET, 408, "the request's head did not arrive in time"),
}


def test_a_head_that_is_too_much_never_arrives(tried: Tried) -> None:
    for limit, (sent, status, line) in HEADS.items():
        with tried.client(sent) as client:
            assert client.status == status, limit
            assert b"\r\nConnection: close\r\n" in client.answer, limit
            assert client.ends()
        request = "POST /a" if limit == "body" else "-"
        assert tried.logged(f"warning: {status} {request} {line}"), limit
    assert tried.target.untouched


@limited("limits: {body: 1000}")
def test_a_body_without_a_length_is_cut_off(tried: Tried) -> None:
    chunked = POST + b"Transfer-Encoding: chunked\r\n\r\n"
    with tried.client(chunked) as client, tried.target.accept() as wire:
        client.send(b"3e9\r\n" + b"x" * 1001 + b"\r\n")
        assert client.status == 413
        assert wire.ends()
    assert tried.logged("warning: 413 POST /a the request's body is over 1000 bytes")


def test_a_body_that_stops_coming(tried: Tried) -> None:
    begun = POST + b"Content-Length: 9\r\n\r\nx"
    with tried.client(begun) as client, tried.target.accept() as wire:
        assert client.status == 408
        assert wire.ends()
    assert tried.logged("warning: 408 POST /a the request's body did not arrive in time")


def test_an_idle_connection_ends_without_a_word(tried: Tried) -> None:
    with tried.client() as client:
        assert client.answer == b""


@limited("limits: {connections: 3}")
def test_connections_in_all(tried: Tried) -> None:
    with contextlib.ExitStack() as open_ones:
        clients = [open_ones.enter_context(tried.client(GET + b"\r\n")) for _ in range(3)]
        wires = [open_ones.enter_context(tried.target.accept()) for _ in range(3)]
        assert open_ones.enter_context(tried.client()).status == 503
        wires[0].send(NOTHING)
        assert clients[0].status == 200
    assert tried.logged("error: 503 - over 3 connections are open")
    assert tried.logged("warning: the public port is full: over 3 .*limits.connections")


@limited("limits: {connections: 3}")
def test_connections_that_ask_nothing_make_room(tried: Tried) -> None:
    with contextlib.ExitStack() as open_ones:
        silent = [open_ones.enter_context(tried.client()) for _ in range(20)]
        with tried.client(b"GET /nowhere HTTP/1.1\r\nHost: hub\r\n\r\n") as client:
            assert client.status == 404
        assert silent[0].ends()


@limited("limits: {address_connections: 3}")
def test_connections_of_one_address(tried: Tried) -> None:
    with contextlib.ExitStack() as open_ones:
        clients = [open_ones.enter_context(tried.client()) for _ in range(4)]
        assert clients[3].status == 503
    assert tried.logged("error: 503 - 127.0.0.1 has over 3 connections open")


@limited("limits: {route_requests: 1, route_tunnels: 1}")
def test_requests_of_one_route(tried: Tried) -> None:
    with tried.client(GET + b"\r\n"), tried.target.accept(), tried.client(GET + b"\r\n") as more:
        assert more.status == 503
        assert b"\r\nRetry-After: 1\r\n" in more.answer
    assert tried.logged("error: 503 GET /a route /a has 1 requests in flight")


@limited("limits: {route_requests: 1, route_tunnels: 1}")
def test_tunnels_of_one_route(tried: Tried) -> None:
    with tried.client(UPGRADE) as first, tried.target.accept() as wire:
        wire.send(SWITCH)
        assert first.status == 101
        with tried.client(UPGRADE) as more:
            assert more.status == 503
    assert tried.logged("error: 503 GET /a route /a has 1 tunnels open")


def test_a_target_that_says_nothing(tried: Tried) -> None:
    with tried.client(GET + b"\r\n") as client, tried.target.accept() as wire:
        assert client.status == 503
        assert wire.ends()
    assert tried.logged("error: 503 GET /a .*: the target sent nothing for too long")


@limited("timeouts: {total: 4}")
def test_a_request_that_takes_too_long_in_all(tried: Tried) -> None:
    with tried.client(GET + b"\r\n") as client, tried.target.accept() as wire:
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert client.status == 200
        # Each byte sets the time for silence anew, but not that for all.
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            while True:
                wire.send(b"1\r\nx\r\n")
                time.sleep(0.2)
        assert client.ends()
    assert tried.logged("error: 503 GET /a .*: the request took too long")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue refuses")
def test_a_target_that_accepts_nothing(tried: Tried) -> None:
    with Listening(backlog=0) as full, contextlib.ExitStack() as queue:
        for _ in range(4):
            waiting = queue.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", full.port))
        tried.served.add("/full", full.url)
        with tried.client(b"GET /full HTTP/1.1\r\nHost: hub\r\n\r\n") as client:
            assert client.status == 503
    assert tried.logged("error: 503 GET /full .* did not accept a connection within 1 s")


@limited("timeouts: {upstream_idle: 1}")
def test_an_idle_connection_to_a_target_is_given_up(tried: Tried) -> None:
    with tried.client(GET + b"\r\n"), tried.target.accept() as wire:
        wire.send(NOTHING)
        assert wire.ends()


@limited("timeouts: {upstream_age: 1}")
def test_an_old_connection_to_a_target_is_not_kept(tried: Tried) -> None:
    with tried.client(GET + b"\r\n") as client, tried.target.accept() as wire:
        time.sleep(1.1)
        wire.send(NOTHING)
        assert wire.ends()
        assert client.status == 200


@limited("limits: {upstream_idle: 1}")
def test_so_many_connections_to_a_target_are_kept(tried: Tried) -> None:
    with contextlib.ExitStack() as both:
        clients = [both.enter_context(tried.client(GET + b"\r\n")) for _ in range(2)]
        wires = [both.enter_context(tried.target.accept()) for _ in range(2)]
        for wire in wires:
            wire.send(NOTHING)
        assert [client.status for client in clients] == [200, 200]
        assert wires[0].ends()
        clients[0].send(GET + b"\r\n")
        wires[1].read_head()
