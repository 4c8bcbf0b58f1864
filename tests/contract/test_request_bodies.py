"""Request bodies stream to the target, whatever their framing."""

import hashlib
import socket
import threading

import pytest

from tests.contract.better import better
from tests.contract.conftest import MakeTarget
from tests.contract.harness import RunningProxy
from tests.contract.target import Connection, Target, answer, chunked, replying

BIG = bytes(range(256)) * 32768


def raw(status_line: str, *fields: str) -> bytes:
    return "\r\n".join([status_line, *fields, "", ""]).encode()


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "GET", "REPORT"])
def test_a_body_with_a_length_goes_through(x: RunningProxy, target: Target, method: str) -> None:
    with x.connect() as client:
        assert client.ask("/x", method=method, body=b"a\r\nb\0c").status == 200
    assert target.last.body == b"a\r\nb\0c"
    assert target.last.all("Content-Length") == ["6"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_a_chunked_body_goes_through(x: RunningProxy, target: Target, method: str) -> None:
    with x.connect() as client:
        fields = ("Transfer-Encoding", "chunked")
        body = chunked(b"one", b"two" * 1000, b"three")
        assert client.ask("/x", fields, method=method, body=body).status == 200
    assert target.last.body == b"one" + b"two" * 1000 + b"three"


@better("it says that the body has no bytes and sends them all the same")
def test_a_chunked_body_of_delete_goes_through(x: RunningProxy, target: Target) -> None:
    with x.connect() as client:
        fields = ("Transfer-Encoding", "chunked")
        assert client.ask("/x", fields, method="DELETE", body=chunked(b"x")).status == 200
    assert target.last.body == b"x"


def test_chunk_extensions_and_trailers_do_no_harm(x: RunningProxy, target: Target) -> None:
    with x.connect() as client:
        body = b"3;a=b\r\none\r\n0\r\nX-Checksum: 1\r\n\r\n"
        fields = ("Transfer-Encoding", "chunked")
        assert client.ask("/x", fields, method="POST", body=body).status == 200
        assert client.ask("/x").status == 200
    assert target.requests[0].body == b"one"


def test_an_empty_body_stays_empty(x: RunningProxy, target: Target) -> None:
    with x.connect() as client:
        assert client.ask("/x", method="POST", body=b"").status == 200
    assert target.last.body == b""


def test_a_request_without_a_body_gets_none(x: RunningProxy, target: Target) -> None:
    assert x.get("/x").status == 200
    assert target.last.get("Transfer-Encoding") is None
    assert target.last.get("Content-Length") in (None, "0")


@pytest.mark.parametrize("how", ["length", "chunked"])
def test_megabytes_go_through(x: RunningProxy, target: Target, how: str) -> None:
    fields = [("Transfer-Encoding", "chunked")] if how == "chunked" else []
    body = chunked(*[BIG[n : n + 50000] for n in range(0, len(BIG), 50000)])
    with x.connect() as client:
        sent = body if how == "chunked" else BIG
        assert client.ask("/x", *fields, method="POST", body=sent).status == 200
    assert hashlib.sha256(target.last.body).digest() == hashlib.sha256(BIG).digest()


@pytest.mark.parametrize("how", ["length", "chunked"])
def test_the_target_sees_the_start_before_the_end_is_sent(
    proxy: RunningProxy, make_target: MakeTarget, how: str
) -> None:
    started = threading.Event()

    def reading(connection: Connection) -> None:
        request = connection.read_request(body=False)
        if request.get("Content-Length"):
            first = connection.read_exactly(5)
        else:
            first = connection.read_chunk()
        assert first == b"first"
        started.set()
        connection.read_until(b"last")
        connection.send(answer(200, b"thanks"))

    proxy.add("/x", make_target(reading).url)
    with proxy.connect() as client:
        if how == "length":
            client.start("/x", ("Content-Length", "9"), method="POST", body=b"first")
        else:
            fields = ("Transfer-Encoding", "chunked")
            client.start("/x", fields, method="POST", body=b"5\r\nfirst\r\n")
        assert started.wait(15)
        client.send(b"last" if how == "length" else b"4\r\nlast\r\n0\r\n\r\n")
        assert client.read_response().body == b"thanks"


def test_a_response_may_come_before_the_body_is_sent(
    proxy: RunningProxy, make_target: MakeTarget
) -> None:
    def hasty(connection: Connection) -> None:
        connection.read_request(body=False)
        connection.send(answer(413, b"too much"))
        connection.closes()

    proxy.add("/x", make_target(hasty).url)
    with proxy.connect() as client:
        client.start("/x", ("Content-Length", "1000000"), method="POST", body=b"start")
        response = client.read_response()
    assert (response.status, response.body) == (413, b"too much")


def test_a_body_that_breaks_off_ends_the_request_to_the_target(
    proxy: RunningProxy, make_target: MakeTarget
) -> None:
    ended: list[bool] = []

    def reading(connection: Connection) -> None:
        connection.read_request(body=False)
        connection.read_exactly(5)
        ended.append(connection.closes())

    backend = make_target(reading)
    proxy.add("/x", backend.url)
    with proxy.connect() as client:
        client.start("/x", ("Content-Length", "1000"), method="POST", body=b"start")
        assert backend.wait_for(lambda: bool(backend.requests))
        client.socket.shutdown(socket.SHUT_RDWR)
    for thread in threading.enumerate():
        if thread.name == "target connection":
            thread.join(15)
    assert ended == [True]


class TestExpectation:
    """Expect: 100-continue."""

    def test_the_client_is_told_to_go_on(self, proxy: RunningProxy, target: Target) -> None:
        proxy.add("/x", target.url)
        with proxy.connect() as client:
            fields = [("Expect", "100-continue"), ("Content-Length", "4")]
            client.start("/x", *fields, method="POST")
            assert client.read_head().line.split(" ")[1] == "100"
            client.send(b"data")
            assert client.read_response().status == 200
        assert target.last.body == b"data"

    def test_a_client_need_not_wait(self, proxy: RunningProxy, target: Target) -> None:
        proxy.add("/x", target.url)
        with proxy.connect() as client:
            response = client.ask("/x", ("Expect", "100-continue"), method="POST", body=b"data")
            assert response.status == 200
            assert client.ask("/x").status == 200
        assert target.requests[0].body == b"data"

    def test_a_targets_own_100_does_no_harm(
        self, proxy: RunningProxy, make_target: MakeTarget
    ) -> None:
        reply = raw("HTTP/1.1 100 Continue") + answer(200, b"done")
        proxy.add("/x", make_target(replying(reply)).url)
        with proxy.connect() as client:
            response = client.ask("/x", ("Expect", "100-continue"), method="POST", body=b"data")
            assert (response.status, response.body) == (200, b"done")
