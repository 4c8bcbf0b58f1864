"""What in an open tunnel moves its route's last_activity."""

import pytest

from tests.contract.activity import Witness, settled
from tests.contract.better import better
from tests.contract.conftest import MakeTarget
from tests.contract.frames import FrameServer, client_frame, handshake, read_frame, server_frame
from tests.contract.harness import RunningProxy
from tests.contract.polling import eventually
from tests.contract.target import Target, answer, replying
from tests.frames import PING, PONG, TEXT


@pytest.fixture
def good(make_target: MakeTarget) -> Target:
    return make_target()


def test_data_from_the_client_counts(
    proxy: RunningProxy, make_target: MakeTarget, good: Target
) -> None:
    witness = Witness(proxy, make_target(FrameServer()), good)
    with proxy.connect() as client:
        handshake(client, "/x")
        witness.before = settled(proxy, "/x")
        client.send(client_frame(TEXT, b"hello"))
        assert witness.moved()


def test_a_refused_tunnel_does_not_count(
    proxy: RunningProxy, make_target: MakeTarget, good: Target
) -> None:
    witness = Witness(proxy, make_target(replying(answer(403, b"no"))), good)
    with proxy.connect() as client:
        assert handshake(client, "/x").line.split(" ")[1] == "403"
    assert witness.stayed()


def test_an_idle_tunnel_does_not_count(
    proxy: RunningProxy, make_target: MakeTarget, good: Target
) -> None:
    witness = Witness(proxy, make_target(FrameServer()), good)
    with proxy.connect() as client:
        handshake(client, "/x")
        witness.before = settled(proxy, "/x")
        assert witness.stayed()


@better("it looks at what comes from the client only")
def test_data_from_the_target_counts(
    proxy: RunningProxy, make_target: MakeTarget, good: Target
) -> None:
    backend = make_target(FrameServer())
    witness = Witness(proxy, backend, good)
    with proxy.connect() as client:
        handshake(client, "/x")
        witness.before = settled(proxy, "/x")
        backend.connections[-1].send(server_frame(TEXT, b"output"))
        assert read_frame(client)[1] == b"output"
        assert witness.moved()


@better("it does not look into the frames")
@pytest.mark.parametrize("kind", [PING, PONG])
def test_a_ping_from_the_client_does_not_count(
    proxy: RunningProxy, make_target: MakeTarget, good: Target, kind: int
) -> None:
    server = FrameServer()
    witness = Witness(proxy, make_target(server), good)
    with proxy.connect() as client:
        handshake(client, "/x")
        witness.before = settled(proxy, "/x")
        client.send(client_frame(kind, b"are you there"))
        assert eventually(lambda: server.frames == [(kind, b"are you there")])
        assert witness.stayed()


@pytest.mark.parametrize("kind", [PING, PONG])
def test_a_ping_from_the_target_does_not_count(
    proxy: RunningProxy, make_target: MakeTarget, good: Target, kind: int
) -> None:
    backend = make_target(FrameServer())
    witness = Witness(proxy, backend, good)
    with proxy.connect() as client:
        handshake(client, "/x")
        witness.before = settled(proxy, "/x")
        backend.connections[-1].send(server_frame(kind, b"are you there"))
        assert read_frame(client) == (kind, b"are you there")
        assert witness.stayed()
