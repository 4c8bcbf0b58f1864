"""HTTP/1.x itself: methods, statuses, bodiless responses, connections."""

import pytest

from tests.contract.better import better
from tests.contract.conftest import MakeTarget
from tests.contract.harness import RunningProxy
from tests.contract.passing import relayed
from tests.contract.target import Connection, Target, answer, replying
from tests.contract.wire import Response


class TestMethodsAndStatuses:
    """Start lines."""

    @pytest.mark.parametrize(
        "method",
        ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "MKCOL", "LOCK"],
    )
    def test_methods_go_through(self, x: RunningProxy, target: Target, method: str) -> None:
        with x.connect() as client:
            assert client.ask("/x", method=method).status == 200
        assert target.last.method == method
        assert target.last.body == b""

    @better("it passes it on, and a target that answers it repeats the cookies")
    def test_trace_does_not_go_through(self, x: RunningProxy, target: Target) -> None:
        with x.connect() as client:
            response = client.ask("/x", method="TRACE")
        assert response.status == 405
        (allowed,) = response.all("Allow")
        assert "TRACE" not in allowed
        assert target.requests == []

    @pytest.mark.parametrize(
        "status", [200, 201, 202, 206, 207, 226, 300, 303, 400, 402, 405, 418, 451, 502, 599]
    )
    def test_statuses_go_through(
        self, proxy: RunningProxy, make_target: MakeTarget, status: int
    ) -> None:
        response = relayed(proxy, make_target, answer(status, b"body"))
        assert (response.status, response.body) == (status, b"body")

    def test_the_reason_goes_through(self, proxy: RunningProxy, make_target: MakeTarget) -> None:
        response = relayed(proxy, make_target, answer(200, b"", reason="Very Fine Indeed"))
        assert response.line == "HTTP/1.1 200 Very Fine Indeed"

    @pytest.mark.parametrize("line", ["HTTP/1.1 200", "HTTP/1.1 200 ", "HTTP/1.1 999 Beyond"])
    def test_unusual_status_lines_are_understood(
        self, proxy: RunningProxy, make_target: MakeTarget, line: str
    ) -> None:
        reply = f"{line}\r\nContent-Length: 2\r\n\r\nok".encode()
        response = relayed(proxy, make_target, reply)
        assert (str(response.status), response.body) == (line.split(" ")[1], b"ok")

    @pytest.mark.parametrize("interim", ["102 Processing", "103 Early Hints"])
    def test_interim_responses_do_no_harm(
        self, proxy: RunningProxy, make_target: MakeTarget, interim: str
    ) -> None:
        reply = f"HTTP/1.1 {interim}\r\nLink: </a>\r\n\r\n".encode() + answer(200, b"final")
        response = relayed(proxy, make_target, reply)
        assert (response.status, response.body) == (200, b"final")


class TestBodiless:
    """Responses that never have a body, and what they may say about one."""

    def test_head_keeps_the_length(self, proxy: RunningProxy, make_target: MakeTarget) -> None:
        reply = answer(200, b"", ("Content-Length", "1234"), length=False)
        response = relayed(proxy, make_target, reply, "HEAD")
        assert response.all("Content-Length") == ["1234"]

    def test_head_goes_through_as_head(self, x: RunningProxy, make_target: MakeTarget) -> None:
        target = make_target(replying(answer(200, b"", ("X-Own", "1"), length=False)))
        x.add("/x", target.url)
        with x.connect() as client:
            assert client.ask("/x", method="HEAD").get("X-Own") == "1"
            assert client.ask("/_chp_healthz").status == 200
        assert target.last.method == "HEAD"

    def test_head_of_a_chunked_resource_has_no_chunks(
        self, proxy: RunningProxy, make_target: MakeTarget
    ) -> None:
        reply = answer(200, b"", ("Transfer-Encoding", "chunked"), length=False)
        assert relayed(proxy, make_target, reply, "HEAD").status == 200

    @pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
    def test_204_has_neither_body_nor_framing(
        self, proxy: RunningProxy, make_target: MakeTarget, method: str
    ) -> None:
        reply = answer(204, b"", ("X-Own", "1"), length=False)
        response = relayed(proxy, make_target, reply, method)
        assert response.status == 204
        assert response.get("X-Own") == "1"
        assert response.get("Transfer-Encoding") is None

    @pytest.mark.parametrize("length", [None, "1234"])
    def test_304_has_no_body(
        self, proxy: RunningProxy, make_target: MakeTarget, length: str | None
    ) -> None:
        fields = [("Content-Length", length)] if length else []
        reply = answer(304, b"", ("ETag", '"a"'), *fields, length=False)
        response = relayed(proxy, make_target, reply)
        assert (response.status, response.get("ETag")) == (304, '"a"')
        assert response.get("Transfer-Encoding") is None


class TestConnections:
    """Keeping connections alive and closing them."""

    def test_a_connection_serves_many_requests(self, x: RunningProxy) -> None:
        with x.connect() as client:
            assert [client.ask("/x").body for _ in range(10)] == [b"hello"] * 10

    def test_close_is_honoured(self, x: RunningProxy) -> None:
        with x.connect() as client:
            response = client.ask("/x", ("Connection", "close"))
            assert response.body == b"hello"
            assert (response.get("Connection") or "").lower() == "close"
            assert client.closes()

    def test_pipelined_requests_are_answered_in_order(
        self, proxy: RunningProxy, make_target: MakeTarget
    ) -> None:
        def naming(connection: Connection) -> None:
            while True:
                connection.send(answer(200, connection.read_request().path.encode()))

        proxy.add("/x", make_target(naming).url)
        with proxy.connect() as client:
            for number in range(5):
                client.start(f"/x/{number}")
            bodies = [client.read_response().body for _ in range(5)]
        assert bodies == [b"/x/%d" % number for number in range(5)]

    def test_blank_lines_before_a_request_are_skipped(self, x: RunningProxy) -> None:
        with x.connect() as client:
            client.send(b"\r\n\r\n")
            assert client.ask("/x").status == 200

    def test_a_head_may_come_byte_by_byte(self, x: RunningProxy, target: Target) -> None:
        with x.connect() as client:
            for byte in b"GET /x?slow HTTP/1.1\r\nHost: h\r\nX-A: b\r\n\r\n":
                client.send(bytes([byte]))
            assert client.read_response().status == 200
        assert target.last.path == "/x?slow"

    def test_targets_are_not_confused(self, proxy: RunningProxy, make_target: MakeTarget) -> None:
        for name in ("a", "b"):
            proxy.add(f"/{name}", make_target(replying(answer(200, name.encode()))).url)
        with proxy.connect() as client:
            bodies = [client.ask(f"/{name}").body for name in "abbaab"]
        assert bodies == [b"a", b"b", b"b", b"a", b"a", b"b"]


class TestOldClients:
    """HTTP/1.0."""

    def ask(self, proxy: RunningProxy, *fields: str) -> tuple[Response, bool]:
        """Return the response and whether the connection closes after it."""
        with proxy.connect() as client:
            lines = ["GET /x HTTP/1.0", *fields, "", ""]
            client.send("\r\n".join(lines).encode())
            response = client.read_response()
            return response, client.closes()

    def test_it_is_served(self, x: RunningProxy) -> None:
        response, closes = self.ask(x)
        assert (response.status, response.body, closes) == (200, b"hello", True)

    def test_it_never_gets_chunks(self, proxy: RunningProxy, make_target: MakeTarget) -> None:
        head = answer(200, b"", ("Transfer-Encoding", "chunked"), length=False)
        proxy.add("/x", make_target(replying(head + b"5\r\nhello\r\n0\r\n\r\n")).url)
        response, closes = self.ask(proxy, "Host: h")
        assert response.get("Transfer-Encoding") is None
        assert (response.body, closes) == (b"hello", True)

    def test_it_may_keep_its_connection(self, x: RunningProxy) -> None:
        with x.connect() as client:
            for _ in range(2):
                client.send(b"GET /x HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n")
                response = client.read_response()
                assert response.body == b"hello"
                assert (response.get("Connection") or "").lower() == "keep-alive"
