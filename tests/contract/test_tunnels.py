"""Upgrades: the handshake on its way, and bytes both ways after it."""

import pytest

from tests.contract.better import better
from tests.contract.conftest import MakeTarget, StartProxy
from tests.contract.frames import (
    BINARY,
    TEXT,
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
from tests.contract.target import Connection, Target, answer, chunked, replying
from tests.contract.wire import Request, Response

DEAD = "http://127.0.0.1:9"


@pytest.fixture
def backend(make_target: MakeTarget) -> Target:
    return make_target(FrameServer(echo=True))


@pytest.fixture
def x(proxy: RunningProxy, backend: Target) -> RunningProxy:
    proxy.add("/x", backend.url)
    return proxy


def asked(proxy: RunningProxy, backend: Target, path: str, *fields: tuple[str, str]) -> Request:
    """Open a tunnel at `path` and return the request as the target saw it."""
    with proxy.connect() as client:
        assert handshake(client, path, *fields).status == 101
    return backend.last


def answered(proxy: RunningProxy, make_target: MakeTarget, reply: bytes) -> Response:
    """Return what a client gets when the target answers its upgrade with `reply`."""
    proxy.add("/x", make_target(replying(reply)).url)
    with proxy.connect() as client:
        response = handshake(client, "/x")
        assert client.closes()
        return response


class TestHandshake:
    """The request for an upgrade, and its answer."""

    def test_the_answer_comes_through(self, x: RunningProxy) -> None:
        with x.connect() as client:
            response = handshake(client, "/x")
        assert response.status == 101
        assert (response.get("Upgrade") or "").lower() == "websocket"
        assert (response.get("Connection") or "").lower() == "upgrade"
        assert response.all("Sec-WebSocket-Accept") == ["BACScCJPNqyz+UBoqMH89VmURoA="]

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("Sec-WebSocket-Protocol", "v1.kernel.websocket.jupyter.org"),
            ("Sec-WebSocket-Extensions", "permessage-deflate; server_no_context_takeover"),
            ("Set-Cookie", "a=1; Path=/"),
            ("X-Own", "1"),
        ],
    )
    def test_headers_of_the_answer_come_through(
        self, proxy: RunningProxy, make_target: MakeTarget, name: str, value: str
    ) -> None:
        proxy.add("/x", make_target(FrameServer((name, value))).url)
        with proxy.connect() as client:
            assert handshake(client, "/x").all(name) == [value]

    def test_cookies_of_the_answer_are_kept_apart(
        self, proxy: RunningProxy, make_target: MakeTarget
    ) -> None:
        script = FrameServer(("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"))
        proxy.add("/x", make_target(script).url)
        with proxy.connect() as client:
            assert handshake(client, "/x").all("Set-Cookie") == ["a=1", "b=2"]

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", "MDEyMzQ1Njc4OWFiY2RlZg=="),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Protocol", "a, b"),
            ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"),
            ("Origin", "https://hub.example.org"),
            ("Cookie", "a=1; b=2"),
            ("Host", "hub.example.org:99"),
        ],
    )
    def test_headers_of_the_request_go_through(
        self, x: RunningProxy, backend: Target, name: str, value: str
    ) -> None:
        usual = name in ("Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version")
        request = asked(x, backend, "/x", *([] if usual else [(name, value)]))
        assert request.all(name) == [value]

    def test_a_browsers_connection_header_is_understood(
        self, x: RunningProxy, backend: Target
    ) -> None:
        fields = [
            (name, "keep-alive, Upgrade" if name == "Connection" else value)
            for name, value in upgrade_fields()
        ]
        with x.connect() as client:
            assert client.ask("/x", *fields).status == 101
        assert "upgrade" in (backend.last.get("Connection") or "").lower()

    def test_the_protocols_name_is_read_in_any_case(self, x: RunningProxy) -> None:
        with x.connect() as client:
            assert client.ask("/x", *upgrade_fields(protocol="WebSocket")).status == 101

    def test_path_and_query_follow_the_rules_of_requests(
        self, proxy: RunningProxy, backend: Target
    ) -> None:
        proxy.add("/user/alice", f"{backend.url}/base")
        path = "/user/alice/api/kernels/x%20y/channels?session_id=1&a=%2F"
        assert asked(proxy, backend, path).path == f"/base{path}"

    def test_no_include_prefix_drops_the_prefix(self, start: StartProxy, backend: Target) -> None:
        proxy = start("--no-include-prefix")
        proxy.add("/user/alice", backend.url)
        assert asked(proxy, backend, "/user/alice/ws?y").path == "/ws?y"

    def test_the_host_chooses_the_route(self, start: StartProxy, backend: Target) -> None:
        proxy = start("--host-routing")
        proxy.add("/alice.example.org", backend.url)
        assert asked(proxy, backend, "/ws", ("Host", "alice.example.org")).path == "/ws"

    def test_custom_headers_are_added(self, start: StartProxy, backend: Target) -> None:
        proxy = start("--custom-header", "X-Tunnel: yes")
        proxy.add("/x", backend.url)
        assert asked(proxy, backend, "/x").all("X-Tunnel") == ["yes"]

    def test_change_origin_sends_the_targets_host(self, start: StartProxy, backend: Target) -> None:
        proxy = start("--change-origin")
        proxy.add("/x", backend.url)
        assert asked(proxy, backend, "/x", ("Host", "hub.org")).all("Host") == [backend.host]


class TestForwardedHeaders:
    """X-Forwarded-* of an upgrade."""

    @pytest.mark.parametrize(
        ("name", "value"), [("For", "127.0.0.1"), ("Proto", "ws"), ("Port", "81")]
    )
    def test_they_are_added(self, x: RunningProxy, backend: Target, name: str, value: str) -> None:
        request = asked(x, backend, "/x", ("Host", "hub.example.org:81"))
        assert request.all(f"X-Forwarded-{name}") == [value]

    @better("it forgets the host on upgrades")
    def test_the_host_is_added(self, x: RunningProxy, backend: Target) -> None:
        request = asked(x, backend, "/x", ("Host", "hub.example.org:81"))
        assert request.all("X-Forwarded-Host") == ["hub.example.org:81"]

    def test_what_came_in_is_kept_in_front(self, x: RunningProxy, backend: Target) -> None:
        request = asked(x, backend, "/x", ("X-Forwarded-Proto", "https"))
        assert (request.get("X-Forwarded-Proto") or "").replace(" ", "") == "https,ws"

    def test_no_x_forward_adds_none(self, start: StartProxy, backend: Target) -> None:
        proxy = start("--no-x-forward")
        proxy.add("/x", backend.url)
        names = asked(proxy, backend, "/x").names
        assert not [name for name in names if name.startswith("x-forwarded")]


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

    def test_a_target_that_breaks_closes_the_client(
        self, proxy: RunningProxy, make_target: MakeTarget
    ) -> None:
        def breaking(connection: Connection) -> None:
            connection.send(acceptance(connection.read_request()))
            connection.read_exactly(1)
            connection.reset()

        proxy.add("/x", make_target(breaking).url)
        with proxy.connect() as client:
            handshake(client, "/x")
            client.send(client_frame(TEXT, b"break"))
            assert client.closes()

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


class TestRefusals:
    """Upgrades that do not happen."""

    @pytest.mark.parametrize("status", [200, 302, 400, 403, 404, 426, 500])
    def test_a_normal_response_goes_to_the_client(
        self, proxy: RunningProxy, make_target: MakeTarget, status: int
    ) -> None:
        response = answered(proxy, make_target, answer(status, b"not here", ("X-Why", "because")))
        assert (response.status, response.body) == (status, b"not here")
        assert response.all("X-Why") == ["because"]

    def test_a_normal_response_may_come_chunked(
        self, proxy: RunningProxy, make_target: MakeTarget
    ) -> None:
        head = answer(403, b"", ("Transfer-Encoding", "chunked"), length=False)
        response = answered(proxy, make_target, head + chunked(b"not ", b"here"))
        assert (response.status, response.body) == (403, b"not here")

    def test_a_dead_target_is_an_empty_503_and_the_end(self, proxy: RunningProxy) -> None:
        proxy.add("/x", DEAD)
        with proxy.connect() as client:
            response = handshake(client, "/x")
            assert (response.status, response.body) == (503, b"")
            assert client.closes()

    def test_no_route_is_an_empty_404(self, proxy: RunningProxy) -> None:
        with proxy.connect() as client:
            response = handshake(client, "/nobody")
            assert (response.status, response.body) == (404, b"")

    @better("it leaves the connection open", hangs=True)
    def test_no_route_is_the_end_of_the_connection(self, proxy: RunningProxy) -> None:
        with proxy.connect() as client:
            assert handshake(client, "/nobody").status == 404
            assert client.closes()

    def test_a_target_that_hangs_up_is_an_empty_503_and_the_end(
        self, proxy: RunningProxy, make_target: MakeTarget
    ) -> None:
        def hanging_up(connection: Connection) -> None:
            connection.read_request()

        proxy.add("/x", make_target(hanging_up).url)
        with proxy.connect() as client:
            response = handshake(client, "/x")
            assert (response.status, response.body) == (503, b"")
            assert client.closes()

    def test_an_error_target_has_no_part_in_it(
        self, start: StartProxy, make_target: MakeTarget
    ) -> None:
        pages = make_target()
        proxy = start("--error-target", pages.url)
        proxy.add("/x", DEAD)
        with proxy.connect() as client:
            assert handshake(client, "/x").body == b""
        assert not pages.requests

    @better("it hangs up without a word")
    def test_any_protocol_may_be_upgraded_to(
        self, proxy: RunningProxy, make_target: MakeTarget
    ) -> None:
        def mirror(connection: Connection) -> None:
            request = connection.read_request()
            fields = [("Connection", "Upgrade"), ("Upgrade", request.get("Upgrade") or "")]
            connection.send(answer(101, b"", *fields, length=False))
            connection.send(connection.read_exactly(4))
            connection.closes()

        proxy.add("/x", make_target(mirror).url)
        with proxy.connect() as client:
            fields = [("Connection", "Upgrade"), ("Upgrade", "echo/1")]
            assert client.ask("/x", *fields).status == 101
            client.send(b"ping")
            assert client.read_exactly(4) == b"ping"
