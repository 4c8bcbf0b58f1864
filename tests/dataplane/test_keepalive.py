"""Connections to clients and to targets are probed for as long as they live."""

import sys

import pytest

from hubgate.model import TcpKeepalive, WorkerConfig
from hubgate.routing.target import Peer
from tests.dataplane.conftest import StartFront
from tests.dataplane.peers import Front, Target
from tests.dataplane.wire import request
from tests.transport.test_dead_peers import PROBES, probes_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="options have other names here")


async def probes_of_client(front: Front) -> tuple[int, ...]:
    """Connect as a client; return what the data plane's end of it is set to."""
    before = {*front.plane._listener.clients}
    client = await front.client()
    await client.send(request("GET", "/_chp_healthz"))
    assert (await client.read_response()).status == 200
    (accepted,) = {*front.plane._listener.clients} - before
    return probes_of(accepted.transport.get_extra_info("socket"))


async def test_clients(start_front: StartFront) -> None:
    front = await start_front(config={"tcp_keepalive": PROBES})
    assert await probes_of_client(front) == (1, 7, 3, 2)


async def test_a_reload_changes_it_for_new_connections(start_front: StartFront) -> None:
    front = await start_front()
    assert await probes_of_client(front) == (1, 60, 15, 4)
    await front.plane.reconfigure(WorkerConfig(tcp_keepalive=PROBES))
    assert await probes_of_client(front) == (1, 7, 3, 2)
    await front.plane.reconfigure(WorkerConfig(tcp_keepalive=TcpKeepalive(idle=None)))
    assert (await probes_of_client(front))[0] == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_targets(start_front: StartFront, target: Target, host: str) -> None:
    front = await start_front(config={"tcp_keepalive": PROBES})
    connection = await front.plane.connector.open(Peer(host, target.port))
    assert probes_of(connection.transport.get_extra_info("socket")) == (1, 7, 3, 2)
    connection.abort()
