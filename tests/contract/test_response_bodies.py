"""Response bodies stream to the client, whatever their framing."""

import hashlib
import threading

import pytest

from tests.contract.better import better
from tests.contract.conftest import MakeTarget
from tests.contract.harness import RunningProxy
from tests.contract.target import Connection, answer, chunked, replying

BIG = bytes(range(256)) * 32768


def raw(status_line: str, *fields: str) -> bytes:
    return "\r\n".join([status_line, *fields, "", ""]).encode()


def relay(proxy: RunningProxy, make_target: MakeTarget, reply: bytes) -> bytes:
    proxy.add("/x", make_target(replying(reply)).url)
    return proxy.get("/x").body


def test_a_body_with_a_length_goes_through(proxy: RunningProxy, make_target: MakeTarget) -> None:
    proxy.add("/x", make_target(replying(answer(200, b"a\r\n\0b"))).url)
    response = proxy.get("/x")
    assert response.body == b"a\r\n\0b"
    assert response.all("Content-Length") == ["5"]
    assert response.get("Transfer-Encoding") is None


def test_a_chunked_body_goes_through(proxy: RunningProxy, make_target: MakeTarget) -> None:
    head = raw("HTTP/1.1 200 Fine", "Transfer-Encoding: chunked")
    body = b"one" + b"two" * 1000
    assert relay(proxy, make_target, head + chunked(b"one", b"two" * 1000)) == body


def test_a_chunked_body_with_trailers_goes_through(
    proxy: RunningProxy, make_target: MakeTarget
) -> None:
    head = raw("HTTP/1.1 200 Fine", "Transfer-Encoding: chunked")
    tail = b"3;x=y\r\none\r\n0\r\nX-Checksum: 1\r\n\r\n"
    assert relay(proxy, make_target, head + tail) == b"one"


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_body_up_to_the_end_of_the_connection_goes_through(
    proxy: RunningProxy, make_target: MakeTarget, version: str
) -> None:
    def closing(connection: Connection) -> None:
        connection.read_request()
        connection.send(raw(f"HTTP/{version} 200 Fine", "Connection: close") + b"all of it")

    proxy.add("/x", make_target(closing).url)
    assert proxy.get("/x").body == b"all of it"


@pytest.mark.parametrize("how", ["length", "chunked"])
def test_megabytes_go_through(proxy: RunningProxy, make_target: MakeTarget, how: str) -> None:
    reply = answer(200, BIG)
    if how == "chunked":
        head = raw("HTTP/1.1 200 Fine", "Transfer-Encoding: chunked")
        reply = head + chunked(*[BIG[n : n + 50000] for n in range(0, len(BIG), 50000)])
    body = relay(proxy, make_target, reply)
    assert hashlib.sha256(body).digest() == hashlib.sha256(BIG).digest()


@pytest.mark.parametrize("how", ["length", "chunked"])
def test_the_client_sees_the_start_before_the_end_is_sent(
    proxy: RunningProxy, make_target: MakeTarget, how: str
) -> None:
    seen = threading.Event()
    framing = "Content-Length: 9" if how == "length" else "Transfer-Encoding: chunked"

    def streaming(connection: Connection) -> None:
        connection.read_request()
        first, last = b"first", b"last"
        if how == "chunked":
            first, last = b"5\r\nfirst\r\n", b"4\r\nlast\r\n0\r\n\r\n"
        connection.send(raw("HTTP/1.1 200 Fine", framing) + first)
        assert seen.wait(15)
        connection.send(last)

    proxy.add("/x", make_target(streaming).url)
    with proxy.connect() as client:
        client.start("/x")
        head = client.read_head()
        part = client.read_exactly(5) if how == "length" else client.read_chunk()
        assert part == b"first"
        seen.set()
        rest = client.read_exactly(4) if how == "length" else client.read_chunked()
        assert rest == b"last"
        assert head.get("Content-Length") == ("9" if how == "length" else None)


@better("it holds the head back until the body starts", hangs=True)
def test_the_head_does_not_wait_for_the_body(proxy: RunningProxy, make_target: MakeTarget) -> None:
    seen = threading.Event()

    def slow(connection: Connection) -> None:
        connection.read_request()
        connection.send(raw("HTTP/1.1 200 Fine", "Content-Length: 4"))
        assert seen.wait(15)
        connection.send(b"body")

    proxy.add("/x", make_target(slow).url)
    with proxy.connect() as client:
        client.start("/x")
        head = client.read_head()
        seen.set()
        assert client.read_framed(head) == b"body"


def test_event_streams_flow(proxy: RunningProxy, make_target: MakeTarget) -> None:
    events = [b"data: %d\n\n" % number for number in range(5)]
    read = threading.Semaphore(0)

    def stream(connection: Connection) -> None:
        connection.read_request()
        fields = ["Content-Type: text/event-stream", "Transfer-Encoding: chunked"]
        connection.send(raw("HTTP/1.1 200 Fine", *fields))
        for event in events:
            connection.send(b"%x\r\n%b\r\n" % (len(event), event))
            assert read.acquire(timeout=15)

    proxy.add("/x", make_target(stream).url)
    with proxy.connect() as client:
        client.start("/x")
        client.read_head()
        for event in events:
            assert client.read_chunk() == event
            read.release()
