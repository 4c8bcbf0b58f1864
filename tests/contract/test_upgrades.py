"""Requests for an upgrade, on their way to the target, and the answers on their way back."""

import pytest

from tests.contract.better import better
from tests.contract.conftest import MakeTarget, StartProxy
from tests.contract.frames import (
    FrameServer,
    handshake,
    upgrade_fields,
)
from tests.contract.harness import RunningProxy
from tests.contract.target import Target
from tests.contract.wire import Request


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
