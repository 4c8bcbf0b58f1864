"""Which connections are kept for the next request, and which are not."""

import asyncio
import socket

import pytest

from hubgate.errors import ConnectError
from hubgate.model import Timeouts
from hubgate.routing.target import Peer
from hubgate.upstream.connection import UpstreamConnection, UpstreamState
from hubgate.upstream.connector import Connector
from hubgate.upstream.pool import Pool
from tests.dataplane.conftest import StartTarget
from tests.dataplane.peers import Target, hello, until
from tests.upstream.pooled import pooled
from tests.upstream.receiver import Recorder

REQUEST = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


@pytest.fixture
async def target(start_target: StartTarget) -> Target:
    """A target that answers everything."""
    return await start_target(hello)


def peer_of(target: Target) -> Peer:
    return Peer("127.0.0.1", target.port)


async def used(connector: Connector, peer: Peer) -> UpstreamConnection:
    """Return a new connection that has served one request and is still busy with it."""
    connection = await connector.open(peer)
    await serve(connection)
    return connection


async def serve(connection: UpstreamConnection) -> None:
    recorder = Recorder()
    connection.begin(recorder, REQUEST, False)
    await recorder.finish()
    assert recorder.body == b"hello"


def idle(pool: Pool) -> int:
    return int(repr(pool).split()[1])


async def test_what_was_put_back_is_taken_again(target: Target) -> None:
    pool, connector = pooled()
    connection = await used(connector, peer_of(target))
    assert pool.take(peer_of(target)) is None

    connector.give_back(connection)
    assert connection.state is UpstreamState.IDLE
    assert pool.take(peer_of(target)) is connection
    assert pool.take(peer_of(target)) is None

    await serve(connection)
    assert target.accepted == 1
    connection.abort()


async def test_the_most_recently_used_goes_first(target: Target) -> None:
    pool, connector = pooled()
    connections = [await used(connector, peer_of(target)) for _ in range(3)]
    for connection in connections:
        connector.give_back(connection)

    assert [pool.take(peer_of(target)) for _ in range(3)] == connections[::-1]
    for connection in connections:
        connection.abort()


async def test_each_peer_has_its_own(target: Target, start_target: StartTarget) -> None:
    other = await start_target(hello)
    pool, connector = pooled()
    connector.give_back(await used(connector, peer_of(target)))

    assert pool.take(peer_of(other)) is None
    assert pool.take(Peer("127.0.0.1", target.port, tls=True)) is None
    assert pool.take(Peer("localhost", target.port)) is None
    connector.close()


async def test_what_is_not_reusable_is_closed(target: Target) -> None:
    pool, connector = pooled()
    connection = await used(connector, peer_of(target))
    connection.reusable = False
    connector.give_back(connection)

    assert connection.state is UpstreamState.CLOSED
    assert pool.take(peer_of(target)) is None
    await until(lambda: target.wires[0].socket.fileno() < 0, "the target sees it closed")


async def test_what_is_too_old_is_closed(target: Target) -> None:
    pool, connector = pooled(Timeouts(upstream_age=0.2))
    connection = await used(connector, peer_of(target))
    connector.give_back(connection)
    assert pool.take(peer_of(target)) is connection, "it is young"

    await asyncio.sleep(0.3)
    connector.give_back(connection)
    assert connection.state is UpstreamState.CLOSED
    assert pool.take(peer_of(target)) is None
    await until(lambda: target.wires[0].socket.fileno() < 0, "the target sees it closed")


async def test_what_was_used_a_moment_ago_is_sure(target: Target) -> None:
    pool, connector = pooled()
    old, dead, young = [await used(connector, peer_of(target)) for _ in range(3)]
    assert pool.take_sure(peer_of(target)) is None
    connector.give_back(old)
    old.idle_since -= 2.0
    connector.give_back(young)
    connector.give_back(dead)
    dead.abort()

    assert pool.take_sure(peer_of(target)) is young
    assert pool.take_sure(peer_of(target)) is None
    assert pool.take(peer_of(target)) is old, "others may still use it"
    for connection in (old, young):
        connection.abort()


async def test_only_so_many_are_kept_and_the_oldest_go_first(target: Target) -> None:
    pool, connector = pooled(max_idle=3)
    connections = [await used(connector, peer_of(target)) for _ in range(5)]
    for connection in connections:
        connector.give_back(connection)
    connector.sweep()
    assert idle(pool) == 5, "they are in use"

    await asyncio.sleep(0.6)
    connector.sweep()
    assert idle(pool) == 3
    assert [connection.state for connection in connections] == [
        *[UpstreamState.CLOSED] * 2,
        *[UpstreamState.IDLE] * 3,
    ]
    connector.close()


async def test_none_is_kept_where_none_may_be(target: Target) -> None:
    pool, connector = pooled(max_idle=0)
    connection = await used(connector, peer_of(target))
    connector.give_back(connection)
    assert connection.state is UpstreamState.CLOSED
    assert pool.take(peer_of(target)) is None


async def test_one_that_the_target_closes_is_forgotten(start_target: StartTarget) -> None:
    target = await start_target()
    pool, connector = pooled()
    connection = await connector.open(peer_of(target))
    connection.reusable = True
    connector.give_back(connection)
    assert idle(pool) == 1

    (await target.accept()).close()
    await until(lambda: idle(pool) == 0, "the pool forgets it")
    assert pool.take(peer_of(target)) is None


async def test_one_that_speaks_unasked_is_closed_and_forgotten(start_target: StartTarget) -> None:
    target = await start_target()
    pool, connector = pooled()
    connection = await connector.open(peer_of(target))
    connection.reusable = True
    connector.give_back(connection)
    await (await target.accept()).send(b"HTTP/1.1 408 Too slow\r\n\r\n")
    await until(lambda: connection.state is UpstreamState.CLOSED, "it is closed")

    assert pool.take(peer_of(target)) is None
    connector.sweep()
    assert idle(pool) == 0


async def test_the_sweep_closes_what_was_idle_for_too_long(target: Target) -> None:
    pool, connector = pooled(Timeouts(upstream_idle=0.2))
    old, young = [await used(connector, peer_of(target)) for _ in range(2)]
    connector.give_back(old)
    await asyncio.sleep(0.3)
    connector.give_back(young)
    connector.sweep()

    assert old.state is UpstreamState.CLOSED
    assert pool.take(peer_of(target)) is young
    young.abort()


async def test_the_sweep_leaves_what_may_wait_longer(target: Target) -> None:
    pool, connector = pooled(Timeouts(upstream_idle=60))
    connector.give_back(await used(connector, peer_of(target)))
    connector.sweep()

    assert idle(pool) == 1
    connector.close()


async def test_the_sweep_forgets_peers(target: Target) -> None:
    pool, connector = pooled()
    connector.give_back(await used(connector, peer_of(target)))
    connection = pool.take(peer_of(target))
    assert connection is not None
    connection.abort()
    connector.sweep()

    assert not pool._idle


async def test_closing_closes_everything_idle(target: Target) -> None:
    pool, connector = pooled()
    connections = [await used(connector, peer_of(target)) for _ in range(3)]
    busy = await connector.open(peer_of(target))
    for connection in connections:
        connector.give_back(connection)
    connector.close()

    assert idle(pool) == 0
    assert {connection.state for connection in connections} == {UpstreamState.CLOSED}
    await serve(busy)
    busy.abort()


async def test_there_may_be_nobody_there(refusing: socket.socket) -> None:
    with pytest.raises(ConnectError):
        await pooled()[1].open(Peer(*refusing.getsockname()))


async def test_it_says_what_is_to_be_closed_and_closes_nothing(target: Target) -> None:
    pool, connector = pooled(Timeouts(upstream_idle=0.2))
    kept, spent = [await used(connector, peer_of(target)) for _ in range(2)]
    spent.reusable = False
    assert not pool.put(spent)
    assert pool.put(kept)
    assert pool.sweep() == []
    await asyncio.sleep(0.3)
    assert pool.sweep() == [kept]

    assert spent.state is not UpstreamState.CLOSED
    assert kept.state is UpstreamState.IDLE
    assert pool.put(kept)
    assert pool.close() == [kept]
    assert kept.state is UpstreamState.IDLE
    for connection in (kept, spent):
        connection.abort()


async def test_beyond_so_many_in_all_those_idle_longest_are_closed(
    start_target: StartTarget,
) -> None:
    pool, connector = pooled()
    peers = [peer_of(await start_target(hello)) for _ in range(4)]
    kept = []
    for peer in peers:
        connection = await used(connector, peer)
        connector.give_back(connection)
        kept.append(connection)
        await asyncio.sleep(0.01)  # the loop's clock counts milliseconds
    pool._most = 2
    connector.sweep()
    assert idle(pool) == 2
    assert [pool.take(peer) for peer in peers] == [None, None, *kept[2:]]
