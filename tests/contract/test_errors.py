"""Which status a request gets when it cannot be forwarded, or its target fails."""

import json
import socket

import pytest

from tests.contract.better import better
from tests.contract.conftest import MakeTarget
from tests.contract.harness import RunningProxy
from tests.contract.polling import eventually
from tests.contract.ports import free_port
from tests.contract.target import Connection, Target, answer, replying
from tests.contract.wire import Closed

DEAD = "http://127.0.0.1:9"


def test_no_route_is_404_with_a_body(proxy: RunningProxy) -> None:
    response = proxy.get("/nobody")
    assert response.status == 404
    assert response.reason == "Not Found"
    assert response.body


def test_a_target_that_refuses_is_503_with_a_body(proxy: RunningProxy) -> None:
    proxy.add("/x", DEAD)
    response = proxy.get("/x")
    assert response.status == 503
    assert response.reason == "Service Unavailable"
    assert response.body


def test_the_built_in_page_is_html(proxy: RunningProxy) -> None:
    response = proxy.get("/nobody")
    assert (response.get("content-type") or "").startswith("text/html")
    assert b"<html" in response.body.lower()
    assert b"404" in response.body


def test_the_built_in_page_does_not_show_what_was_asked(proxy: RunningProxy) -> None:
    assert b"<script>" not in proxy.get("/<script>alert(1)</script>").body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_a_target_that_refuses_is_503_for_every_method(proxy: RunningProxy, method: str) -> None:
    proxy.add("/x", DEAD)
    with proxy.connect() as client:
        body = b"x" * 1000 if method in ("POST", "PUT") else None
        assert client.ask("/x", method=method, body=body).status == 503


@pytest.mark.parametrize("status", [404, 503])
def test_an_error_to_a_head_request_has_no_body(proxy: RunningProxy, status: int) -> None:
    if status == 503:
        proxy.add("/x", DEAD)
    with proxy.connect() as client:
        assert client.ask("/x", method="HEAD").status == status
        assert client.ask("/_chp_healthz").status == 200


def test_an_unknown_name_is_503(proxy: RunningProxy) -> None:
    proxy.add("/x", "http://no-such-host.invalid:80")
    assert proxy.get("/x").status == 503


def resetting(connection: Connection) -> None:
    connection.read_request()
    connection.reset()


def closing(connection: Connection) -> None:
    connection.read_request()


def babbling(connection: Connection) -> None:
    connection.read_request()
    connection.send(b"this is no HTTP at all\r\n\r\n")


def half_a_head(connection: Connection) -> None:
    connection.read_request()
    connection.send(b"HTTP/1.1 200 Fine\r\nX-Half: ")


@pytest.mark.parametrize("script", [resetting, closing, babbling, half_a_head])
def test_a_target_that_fails_before_its_response_is_503(
    proxy: RunningProxy, make_target: MakeTarget, script: object
) -> None:
    proxy.add("/x", make_target(script).url)  # type: ignore[arg-type]
    assert proxy.get("/x").status == 503


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\n",
        b"HTTP/1.1 200 OK\r\nX-Name : spaced\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Folded: a\r\n b\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Bell: \x07\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 99 Low\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/2 200 OK\r\nContent-Length: 2\r\n\r\n",
        pytest.param(
            b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
            marks=better("it leaves the client waiting for ever", hangs=True),
        ),
    ],
)
def test_a_response_that_is_not_well_formed_is_503(
    proxy: RunningProxy, make_target: MakeTarget, head: bytes
) -> None:
    proxy.add("/x", make_target(replying(head + b"ok")).url)
    assert proxy.get("/x").status == 503


def test_a_request_with_a_body_is_not_sent_twice(
    proxy: RunningProxy, make_target: MakeTarget
) -> None:
    backend = make_target(resetting)
    proxy.add("/x", backend.url)
    with proxy.connect() as client:
        assert client.ask("/x", method="POST", body=b"once").status == 503
    assert len(backend.requests) == 1


def test_the_clients_connection_survives_an_error(proxy: RunningProxy, target: Target) -> None:
    proxy.add("/dead", DEAD)
    proxy.add("/alive", target.url)
    with proxy.connect() as client:
        paths = ("/nobody", "/dead", "/alive", "/dead", "/alive")
        assert [client.ask(path).status for path in paths] == [404, 503, 200, 503, 200]


@pytest.mark.parametrize("how", ["waiting", "adding"])
def test_a_target_that_comes_back_is_reached_again(proxy: RunningProxy, how: str) -> None:
    # A port that the kernel chooses may be another's as soon as it is free.
    address = "127.0.0.1", free_port()
    first = Target(address=address)
    proxy.add("/x", first.url)
    assert proxy.get("/x").status == 200
    first.stop()
    assert proxy.get("/x").status == 503
    second = Target(address=address)
    try:
        if how == "waiting":
            assert eventually(lambda: proxy.get("/x").status == 200)
        else:
            # A hub sends its user there as soon as it has added the route, so: at once.
            proxy.add("/x", second.url)
            assert proxy.get("/x").status == 200
    finally:
        second.stop()


def once_then(connection: Connection) -> None:
    """Serve one request on a kept-alive connection, then close it at the next."""
    connection.read_request()
    connection.send(answer(200, b"hello"))
    connection.read_request()


@better("it has no second try")
def test_a_kept_alive_connection_that_died_costs_no_request(
    proxy: RunningProxy, make_target: MakeTarget
) -> None:
    proxy.add("/x", make_target(once_then).url)
    assert [proxy.get("/x").status for _ in range(4)] == [200] * 4


@pytest.mark.parametrize("path", ["/%", "/%zz", "/x/%E0%A4%A"])
def test_a_path_that_cannot_be_decoded_is_refused(
    proxy: RunningProxy, target: Target, path: str
) -> None:
    proxy.add("/", target.url)
    assert proxy.get(path).status in (400, 500)
    assert not target.requests


@pytest.mark.parametrize("bad", ["no url", "ftp://127.0.0.1/x", "//127.0.0.1:9", ""])
def test_a_target_that_is_no_url_is_an_error_for_somebody(proxy: RunningProxy, bad: str) -> None:
    # CHP takes it and answers 500 to every request; to refuse it at once is better.
    added = proxy.call("POST", "/api/routes/x", json.dumps({"target": bad}).encode())
    assert (added.status, proxy.get("/x").status) in ((201, 500), (400, 404))


@pytest.mark.parametrize(
    "spelling", [" {} ", "\t{}\r\n", "{}/#f", "http://u:p@127.0.0.1:{port}", "HTTP://127.1:{port}/"]
)
def test_a_target_is_read_as_a_browser_reads_a_url(
    proxy: RunningProxy, target: Target, spelling: str
) -> None:
    url = spelling.format(target.url, port=target.url.rpartition(":")[2])
    proxy.add("/x", url)
    assert proxy.get("/x").status == 200
    assert proxy.routes()["/x"]["target"] == url


def cut_by_length(connection: Connection) -> None:
    connection.read_request()
    connection.send(b"HTTP/1.1 200 Fine\r\nContent-Length: 1000\r\n\r\nonly this")


def cut_in_chunks(connection: Connection) -> None:
    connection.read_request()
    connection.send(b"HTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")


@better("it leaves the client waiting for ever", hangs=True)
@pytest.mark.parametrize("script", [cut_by_length, cut_in_chunks])
def test_a_response_that_is_cut_off_never_looks_complete(
    proxy: RunningProxy, make_target: MakeTarget, script: object
) -> None:
    proxy.add("/x", make_target(script).url)  # type: ignore[arg-type]
    with proxy.connect() as client, pytest.raises((Closed, ConnectionError)):
        client.ask("/x")


def test_a_client_that_leaves_ends_the_request_to_the_target(
    proxy: RunningProxy, make_target: MakeTarget
) -> None:
    left: list[bool] = []

    def waiting(connection: Connection) -> None:
        connection.read_request()
        left.append(connection.closes())

    backend = make_target(waiting)
    proxy.add("/x", backend.url)
    with proxy.connect() as client:
        client.start("/x")
        assert backend.wait_for(lambda: bool(backend.requests))
        client.socket.shutdown(socket.SHUT_RDWR)
    assert eventually(lambda: left == [True])


def test_a_client_that_leaves_ends_a_response_on_its_way(
    proxy: RunningProxy, make_target: MakeTarget
) -> None:
    ended: list[bool] = []

    def endless(connection: Connection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                connection.send(b"400\r\n" + b"x" * 1024 + b"\r\n")
        except OSError:
            ended.append(True)

    proxy.add("/x", make_target(endless).url)
    with proxy.connect() as client:
        client.start("/x")
        client.read_head()
    assert eventually(lambda: ended == [True])
