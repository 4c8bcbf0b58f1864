"""Open tunnels: bytes both ways, and how they end."""

import pytest

from tests.contract.better import better
from tests.contract.conftest import MakeTarget
from tests.contract.frames import (
    FrameServer,
    acceptance,
    client_frame,
    handshake,
    read_frame,
    server_frame,
    upgrade_fields,
)
from tests.contract.harness import RunningProxy
from tests.contract.polling import eventually
from tests.contract.target import Connection, Target
from tests.frames import BINARY, TEXT

DEAD = "http://127.0.0.1:9"


@pytest.fixture
def backend(make_target: MakeTarget) -> Target:
    return make_target(FrameServer(echo=True))


@pytest.fixture
def x(proxy: RunningProxy, backend: Target) -> RunningProxy:
    proxy.add("/x", backend.url)
    return proxy


class TestBytes:
    """What flows once the tunnel is open."""

    def test_bytes_go_through_unchanged_both_ways(
        self, proxy: RunningProxy, make_target: MakeTarget
    ) -> None:
        every = bytes(range(256)) * 300

        def mirror(connection: Connection) -> None:
            connection.send(acceptance(connection.read_request()))
            connection.send(connection.read_exactly(len(every))[::-1])
            connection.closes()

        proxy.add("/x", make_target(mirror).url)
        with proxy.connect() as client:
            assert handshake(client, "/x").status == 101
            client.send(every)
            assert client.read_exactly(len(every)) == every[::-1]

    @better("it loses what comes before the answer", hangs=True)
    def test_what_the_client_sends_right_behind_its_request_arrives(self, x: RunningProxy) -> None:
        with x.connect() as client:
            client.start("/x", *upgrade_fields(), body=None)
            client.send(client_frame(TEXT, b"early"))
            assert client.read_response().status == 101
            assert read_frame(client) == (TEXT, b"early")

    @better("it loses what comes before the answer", hangs=True)
    def test_what_comes_in_one_packet_with_the_request_arrives(
        self, proxy: RunningProxy, make_target: MakeTarget
    ) -> None:
        server = FrameServer(echo=True)
        proxy.add("/x", make_target(server).url)
        with proxy.connect() as client:
            lines = [("Host", "h"), *upgrade_fields()]
            head = "".join(f"{name}: {value}\r\n" for name, value in lines)
            start = f"GET /x HTTP/1.1\r\n{head}\r\n".encode()
            client.send(start + client_frame(TEXT, b"glued"))
            assert client.read_response().status == 101
            assert read_frame(client) == (TEXT, b"glued")

    def test_what_comes_in_one_packet_with_the_answer_arrives(
        self, proxy: RunningProxy, make_target: MakeTarget
    ) -> None:
        def eager(connection: Connection) -> None:
            welcome = server_frame(TEXT, b"welcome")
            connection.send(acceptance(connection.read_request()) + welcome)
            connection.closes()

        proxy.add("/x", make_target(eager).url)
        with proxy.connect() as client:
            assert handshake(client, "/x").status == 101
            assert read_frame(client) == (TEXT, b"welcome")

    def test_megabytes_go_through(self, x: RunningProxy) -> None:
        payload = bytes(range(256)) * 16384
        with x.connect() as client:
            handshake(client, "/x")
            client.send(client_frame(BINARY, payload))
            assert read_frame(client) == (BINARY, payload)

    def test_tunnels_do_not_mix(self, x: RunningProxy) -> None:
        with x.connect() as one, x.connect() as two:
            for client in (one, two):
                handshake(client, "/x")
            one.send(client_frame(TEXT, b"one"))
            two.send(client_frame(TEXT, b"two"))
            assert [read_frame(client)[1] for client in (two, one)] == [b"two", b"one"]


class TestEnd:
    """How a tunnel ends, and what does not end it."""

    @pytest.fixture
    def broken(self, proxy: RunningProxy, make_target: MakeTarget) -> RunningProxy:
        def breaking(connection: Connection) -> None:
            connection.send(acceptance(connection.read_request()))
            connection.read_exactly(1)
            connection.reset()

        proxy.add("/x", make_target(breaking).url)
        return proxy

    def test_a_target_that_closes_closes_the_client(
        self, proxy: RunningProxy, make_target: MakeTarget
    ) -> None:
        def brief(connection: Connection) -> None:
            connection.send(acceptance(connection.read_request()) + server_frame(TEXT, b"bye"))

        proxy.add("/x", make_target(brief).url)
        with proxy.connect() as client:
            handshake(client, "/x")
            assert read_frame(client) == (TEXT, b"bye")
            assert client.closes()

    def test_a_target_that_breaks_closes_the_client(self, broken: RunningProxy) -> None:
        with broken.connect() as client:
            handshake(client, "/x")
            client.send(client_frame(TEXT, b"break"))
            client.read_rest()

    @better("it writes an HTTP response into the open tunnel")
    def test_a_target_that_breaks_leaves_no_strange_bytes(self, broken: RunningProxy) -> None:
        with broken.connect() as client:
            handshake(client, "/x")
            client.send(client_frame(TEXT, b"break"))
            assert client.read_rest() == b""

    def test_a_client_that_leaves_closes_the_target(
        self, proxy: RunningProxy, make_target: MakeTarget
    ) -> None:
        left: list[bool] = []

        def waiting(connection: Connection) -> None:
            connection.send(acceptance(connection.read_request()))
            left.append(connection.closes())

        proxy.add("/x", make_target(waiting).url)
        with proxy.connect() as client:
            handshake(client, "/x")
        assert eventually(lambda: left == [True])

    @pytest.mark.parametrize("change", ["removed", "replaced", "others"])
    def test_a_change_of_routes_leaves_it_open(self, x: RunningProxy, change: str) -> None:
        with x.connect() as client:
            handshake(client, "/x")
            if change == "removed":
                x.remove("/x")
            else:
                x.add("/x" if change == "replaced" else "/y", DEAD)
            client.send(client_frame(TEXT, b"still here"))
            assert read_frame(client) == (TEXT, b"still here")
