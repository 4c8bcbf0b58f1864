"""Heads of requests and responses: large ones, too large ones, and ambiguous ones."""

import pytest

from tests.contract.better import better
from tests.contract.conftest import MakeTarget
from tests.contract.harness import RunningProxy
from tests.contract.passing import relayed
from tests.contract.target import Target, answer


class TestSizes:
    """Heads larger than usual, and too large."""

    @pytest.mark.parametrize(
        "size", [4_000, pytest.param(12_000), pytest.param(40_000, marks=better("it takes 16 KB"))]
    )
    def test_a_large_request_head_goes_through(
        self, x: RunningProxy, target: Target, size: int
    ) -> None:
        with x.connect() as client:
            assert client.ask("/x", ("Cookie", "c" * size)).status == 200
        assert target.last.all("Cookie") == ["c" * size]

    @pytest.mark.parametrize("size", [12_000])
    def test_a_long_url_goes_through(self, x: RunningProxy, target: Target, size: int) -> None:
        assert x.get("/x?" + "q" * size).status == 200
        assert target.last.path == "/x?" + "q" * size

    @pytest.mark.parametrize("size", [12_000, pytest.param(40_000, marks=better("it takes 16 KB"))])
    def test_a_large_response_head_goes_through(
        self, proxy: RunningProxy, make_target: MakeTarget, size: int
    ) -> None:
        response = relayed(proxy, make_target, answer(200, b"", ("X-Large", "c" * size)))
        assert response.all("X-Large") == ["c" * size]

    def test_a_hundred_headers_go_through(self, x: RunningProxy, target: Target) -> None:
        fields = [(f"X-Number-{number}", str(number)) for number in range(100)]
        assert x.get("/x", *fields).status == 200
        assert [target.last.get(name) for name, _ in fields] == [value for _, value in fields]

    def test_a_head_that_is_too_large_is_431(self, x: RunningProxy, target: Target) -> None:
        with x.connect() as client:
            assert client.ask("/x", ("Cookie", "c" * 200_000)).status == 431
        assert not target.requests


class TestFraming:
    """Requests that two servers could read differently are refused."""

    @pytest.mark.parametrize(
        "lines",
        [
            ["Host: h", "Content-Length: 5", "Content-Length: 6"],
            ["Host: h", "Content-Length: 5", "Transfer-Encoding: chunked"],
            ["Host: h", "Content-Length: +5"],
            ["Host: h", "Content-Length: 5, 6"],
            ["Host: h", "Content-Length: five"],
            ["Host: h", "Transfer-Encoding: chunked, identity"],
            ["Host: h", "Transfer-Encoding: xchunked"],
            ["Host: h", "X-Name : spaced"],
            ["Host: h", "X Name: spaced"],
            ["Host: h", "no colon"],
            ["Host: h", "X-Null: a\0b"],
            ["Host: h", "X-Bell: a\x07b"],
            ["Host: h", ": nameless"],
            [],
            pytest.param(["Host: h", "Host: i"], marks=better("it takes the first")),
            ["Host: h", "X-Folded: a", " b"],
        ],
    )
    def test_it_is_400_and_the_target_sees_nothing(
        self, x: RunningProxy, target: Target, lines: list[str]
    ) -> None:
        with x.connect() as client:
            framed = any(line.startswith(("Content", "Transfer")) for line in lines)
            head = "\r\n".join(["POST /x HTTP/1.1", *lines, "", ""])
            client.send(head.encode() + (b"0\r\n\r\n" if framed else b""))
            assert client.read_head().line.split(" ")[1] == "400"
            client.read_rest()
        assert not target.requests

    @pytest.mark.parametrize(
        "line",
        [
            pytest.param("GET /x", marks=better("it takes HTTP/0.9")),
            "GET /x HTTP/9.9",
            "G<T /x HTTP/1.1",
            "GET  HTTP/1.1",
        ],
    )
    def test_a_start_line_that_is_none_is_refused(
        self, x: RunningProxy, target: Target, line: str
    ) -> None:
        with x.connect() as client:
            client.send(f"{line}\r\nHost: h\r\n\r\n".encode())
            assert client.read_head().line.split(" ")[1] in ("400", "505")
        assert not target.requests

    def test_a_bad_chunk_size_never_looks_complete(self, x: RunningProxy, target: Target) -> None:
        with x.connect() as client:
            fields = ("Transfer-Encoding", "chunked")
            client.start("/x", fields, method="POST", body=b"zz\r\nabc\r\n0\r\n\r\n")
            assert b"200" not in client.read_rest().split(b"\r\n")[0]
        assert not target.requests
