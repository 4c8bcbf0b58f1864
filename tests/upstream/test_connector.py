"""Connecting to targets that are down, or not up yet."""

import asyncio
import socket

import pytest

from hubgate.errors import ConnectError, RefusedError
from hubgate.model import Timeouts
from hubgate.routing.target import Peer
from hubgate.tasks import spawn
from hubgate.upstream.connection import UpstreamConnection
from hubgate.upstream.connector import Connector
from tests.dataplane.conftest import StartTarget
from tests.dataplane.peers import Target, hello, until
from tests.upstream.pooled import pooled


def connector(**timeouts: float) -> Connector:
    configured = Timeouts(**timeouts)
    return pooled(configured)[1]


@pytest.fixture
def nobody(refusing: socket.socket) -> Peer:
    """A peer that refuses."""
    return Peer(*refusing.getsockname())


async def test_a_target_that_is_up(target: Target) -> None:
    peer = Peer("127.0.0.1", target.port)
    connecting = connector()
    connection = await connecting.connect(peer, patient=False)

    assert connection.peer == peer
    assert connecting.outage(peer) is None
    connection.abort()


async def refused(connecting: Connector, peer: Peer, times: int) -> RefusedError:
    """Ask so often and return the last error."""
    for _ in range(times):
        with pytest.raises(RefusedError) as caught:
            await connecting.connect(peer, patient=False)
    return caught.value


async def test_a_refusal_or_two_are_no_storm(nobody: Peer) -> None:
    connecting = connector(down=60)
    for _ in range(2):
        await refused(connecting, nobody, 1)
        for _ in range(3):
            assert connecting.outage(nobody) is None


@pytest.mark.real_time
async def test_a_target_that_goes_on_refusing_is_down_for_a_while(nobody: Peer) -> None:
    connecting = connector(down=1.0)
    error = await refused(connecting, nobody, 3)
    assert repr(connecting.outage(nobody)) == repr(error)

    await asyncio.sleep(1.1)
    # One may ask again; until it is answered, everybody else hears the old error.
    assert connecting.outage(nobody) is None
    assert repr(connecting.outage(nobody)) == repr(error)


async def test_refusals_long_ago_are_no_storm(nobody: Peer) -> None:
    connecting = connector(down=0.1)
    await refused(connecting, nobody, 3)
    await asyncio.sleep(0.3)
    await refused(connecting, nobody, 1)

    for _ in range(3):
        assert connecting.outage(nobody) is None


async def test_a_target_that_is_back_is_up_for_everybody(
    nobody: Peer, refusing: socket.socket, start_target: StartTarget
) -> None:
    connecting = connector(down=60)
    await refused(connecting, nobody, 3)
    await start_target(sock=refusing)
    connection = await connecting.connect(nobody, patient=False)

    assert connecting.outage(nobody) is None
    connection.abort()


async def test_the_patient_are_answered_after_the_time_is_over(nobody: Peer) -> None:
    connecting = connector(ready=0.3)
    begun = asyncio.get_running_loop().time()
    with pytest.raises(RefusedError):
        await connecting.connect(nobody, patient=True)

    assert asyncio.get_running_loop().time() - begun > 0.29  # the loop's clock counts in ms


async def test_what_is_known_to_be_down_is_not_waited_for(nobody: Peer) -> None:
    connecting = connector(ready=60, down=60)
    await refused(connecting, nobody, 1)
    with pytest.raises(RefusedError):
        await connecting.connect(nobody, patient=True)


async def test_only_a_refusal_is_waited_out() -> None:
    with pytest.raises(ConnectError):
        await connector(ready=60).connect(Peer("no-such-host.invalid", 1), patient=True)


async def waiting(connecting: Connector, peer: Peer) -> "asyncio.Task[UpstreamConnection]":
    """Start a patient connection and let it find out that nobody is there."""
    task = spawn(connecting.connect(peer, patient=True), "a patient one")
    await until(lambda: peer in connecting._waits, "it waits")
    return task


async def test_the_patient_are_connected_when_the_target_comes_up(
    nobody: Peer, refusing: socket.socket, start_target: StartTarget
) -> None:
    connecting = connector(ready=60)
    tasks = [await waiting(connecting, nobody) for _ in range(5)]
    await start_target(hello, sock=refusing)
    connections = await asyncio.gather(*tasks)

    assert len(set(map(id, connections))) == 5
    for connection in connections:
        connection.abort()


async def test_one_that_loses_patience_leaves_the_others_waiting(
    nobody: Peer, refusing: socket.socket, start_target: StartTarget
) -> None:
    connecting = connector(ready=60)
    first, second = [await waiting(connecting, nobody) for _ in range(2)]
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await asyncio.sleep(0.1)
    assert not second.done()

    await start_target(hello, sock=refusing)
    (await second).abort()


async def test_the_sweep_keeps_what_is_still_of_interest(nobody: Peer) -> None:
    connecting = connector(down=60)
    await refused(connecting, nobody, 3)
    connecting.sweep()
    assert connecting.outage(nobody) is not None
