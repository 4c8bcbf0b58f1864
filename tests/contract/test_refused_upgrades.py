"""Upgrades that do not happen: the target says no, fails, or is not there."""

import pytest

from tests.contract.better import better
from tests.contract.conftest import MakeTarget, StartProxy
from tests.contract.frames import (
    handshake,
)
from tests.contract.harness import RunningProxy
from tests.contract.target import Connection, answer, chunked, replying
from tests.contract.wire import Response

DEAD = "http://127.0.0.1:9"


def answered(proxy: RunningProxy, make_target: MakeTarget, reply: bytes) -> Response:
    """Return what a client gets when the target answers its upgrade with `reply`."""
    proxy.add("/x", make_target(replying(reply)).url)
    with proxy.connect() as client:
        response = handshake(client, "/x")
        assert client.closes()
        return response


@pytest.mark.parametrize("status", [200, 302, 400, 403, 404, 426, 500])
def test_a_normal_response_goes_to_the_client(
    proxy: RunningProxy, make_target: MakeTarget, status: int
) -> None:
    response = answered(proxy, make_target, answer(status, b"not here", ("X-Why", "because")))
    assert (response.status, response.body) == (status, b"not here")
    assert response.all("X-Why") == ["because"]


def test_a_normal_response_may_come_chunked(proxy: RunningProxy, make_target: MakeTarget) -> None:
    head = answer(403, b"", ("Transfer-Encoding", "chunked"), length=False)
    response = answered(proxy, make_target, head + chunked(b"not ", b"here"))
    assert (response.status, response.body) == (403, b"not here")


def test_a_dead_target_is_an_empty_503_and_the_end(proxy: RunningProxy) -> None:
    proxy.add("/x", DEAD)
    with proxy.connect() as client:
        response = handshake(client, "/x")
        assert (response.status, response.body) == (503, b"")
        assert client.closes()


def test_no_route_is_an_empty_404(proxy: RunningProxy) -> None:
    with proxy.connect() as client:
        response = handshake(client, "/nobody")
        assert (response.status, response.body) == (404, b"")


@better("it leaves the connection open", hangs=True)
def test_no_route_is_the_end_of_the_connection(proxy: RunningProxy) -> None:
    with proxy.connect() as client:
        assert handshake(client, "/nobody").status == 404
        assert client.closes()


def test_a_target_that_hangs_up_is_an_empty_503_and_the_end(
    proxy: RunningProxy, make_target: MakeTarget
) -> None:
    def hanging_up(connection: Connection) -> None:
        connection.read_request()

    proxy.add("/x", make_target(hanging_up).url)
    with proxy.connect() as client:
        response = handshake(client, "/x")
        assert (response.status, response.body) == (503, b"")
        assert client.closes()


def test_an_error_target_has_no_part_in_it(start: StartProxy, make_target: MakeTarget) -> None:
    pages = make_target()
    proxy = start("--error-target", pages.url)
    proxy.add("/x", DEAD)
    with proxy.connect() as client:
        assert handshake(client, "/x").body == b""
    assert not pages.requests


@better("it hangs up without a word")
def test_any_protocol_may_be_upgraded_to(proxy: RunningProxy, make_target: MakeTarget) -> None:
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
