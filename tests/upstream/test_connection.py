"""One connection to a target: what never gets into the next response, and how it ends."""

import pytest

from hubgate.errors import StaleConnectionError, UpstreamClosedError
from hubgate.routing.target import Peer
from hubgate.upstream.connection import UpstreamConnection, UpstreamState
from tests.dataplane.peers import Target, until
from tests.turns import AtOnce
from tests.upstream.answers import (
    CHUNKED,
    EMPTY,
    LENGTH,
    LONG,
    NO_CONTENT,
    NOT_MODIFIED,
    REQUEST,
    answered,
    opened,
)
from tests.upstream.pooled import dialer
from tests.upstream.receiver import Recorder

# --- one request after the other -------------------------------------------------------------


@pytest.mark.parametrize("answer", [LENGTH, CHUNKED, EMPTY, NO_CONTENT, NOT_MODIFIED, LONG])
async def test_a_connection_serves_one_request_after_the_other(
    target: Target, answer: bytes
) -> None:
    connection, wire = await opened(target)
    for number in range(1, 6):
        recorder = Recorder()
        connection.begin(recorder, REQUEST, False)
        assert connection.state is UpstreamState.BUSY
        await wire.read_request()
        await wire.send(answer[:30])
        await wire.send(answer[30:])
        await recorder.finish()

        assert recorder.error is None
        assert connection.reusable
        connection.release()
        assert connection.state is UpstreamState.IDLE
        assert connection.served == number


@pytest.mark.parametrize("first", [LENGTH, CHUNKED, EMPTY, NO_CONTENT, NOT_MODIFIED])
@pytest.mark.parametrize("excess", [b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", LENGTH])
async def test_what_follows_a_response_at_once_ends_the_connection(
    target: Target, first: bytes, excess: bytes
) -> None:
    recorder, connection = await answered(target, first + excess)

    assert recorder.ended
    assert recorder.heads == 1
    assert recorder.body in (b"hello", b"")
    assert not connection.reusable


@pytest.mark.parametrize("excess", [b"hello", LENGTH])
async def test_what_follows_a_response_to_head_ends_the_connection(
    target: Target, excess: bytes
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    recorder, connection = await answered(target, head + excess, bodiless=True)

    assert recorder.ended
    assert recorder.body == b""
    assert not connection.reusable


async def test_what_comes_while_nobody_asks_closes_the_connection(target: Target) -> None:
    recorder, connection = await answered(target, LENGTH)
    assert connection.reusable
    connection.release()
    await target.wires[0].send(LENGTH)

    assert await target.wires[0].drain() in ("end", "reset")
    assert connection.state is UpstreamState.CLOSED
    assert recorder.body == b"hello"


async def test_a_body_longer_than_announced_is_cut_and_ends_the_connection(
    target: Target,
) -> None:
    connection, wire = await opened(target)
    recorder = Recorder()
    connection.begin(recorder, REQUEST, False)
    await wire.send(LENGTH[:-4])
    await until(lambda: recorder.body == b"h", "the first byte comes")
    await wire.send(b"ello, and more")
    await recorder.finish()

    assert recorder.body == b"hello"
    assert not connection.reusable


# --- how connections end ---------------------------------------------------------------------


async def test_a_connection_that_died_while_idle_is_stale(target: Target) -> None:
    recorder, connection = await answered(target, LENGTH)
    connection.release()
    second = Recorder()
    target.wires[0].reset()
    connection.begin(second, REQUEST, False)
    await second.finish()

    assert isinstance(second.error, StaleConnectionError)
    assert recorder.error is None


async def test_a_new_connection_is_never_stale(target: Target) -> None:
    connection, wire = await opened(target)
    recorder = Recorder()
    connection.begin(recorder, REQUEST, False)
    await wire.read_request()
    wire.close()
    await recorder.finish()

    assert type(recorder.error) is UpstreamClosedError


async def test_one_byte_of_a_response_makes_a_connection_no_longer_stale(target: Target) -> None:
    _, connection = await answered(target, LENGTH)
    connection.release()
    recorder = Recorder()
    connection.begin(recorder, REQUEST, False)
    await target.wires[0].read_request()
    await target.wires[0].send(b"H")
    await until(lambda: connection._got_bytes, "the byte comes")
    target.wires[0].close()
    await recorder.finish()

    assert type(recorder.error) is UpstreamClosedError


async def test_an_idle_connection_tells_its_pool_when_it_dies(target: Target) -> None:
    lost: list[UpstreamConnection] = []
    peer = Peer("127.0.0.1", target.port)
    connection = await dialer().connect(
        peer, lambda: UpstreamConnection(peer, lost.append, AtOnce())
    )
    wire = await target.accept()
    wire.close()
    await until(lambda: lost, "the pool hears of it")

    assert lost == [connection]


async def test_aborting_closes_and_says_nothing(target: Target) -> None:
    connection, wire = await opened(target)
    recorder = Recorder()
    connection.begin(recorder, REQUEST, False)
    await wire.read_request()
    connection.abort()
    connection.abort()

    assert await wire.ending() in ("end", "reset")
    assert not recorder.finished
    assert connection.state is UpstreamState.CLOSED


async def test_a_target_that_reads_slowly_is_told_of(target: Target) -> None:
    connection, wire = await opened(target)
    recorder = Recorder()
    connection.begin(recorder, b"PUT / HTTP/1.1\r\n\r\n", False)
    sent = 18
    while not recorder.writable:
        connection.transport.write(bytes(1 << 20))
        sent += 1 << 20
        assert sent < 1 << 28, "it takes everything"
    assert recorder.writable == [False]

    await wire.read_exactly(sent)
    await until(lambda: recorder.writable == [False, True], "it is writable again")
    connection.abort()


async def test_a_connection_says_what_it_is_doing(target: Target) -> None:
    connection, _ = await opened(target)
    assert repr(connection) == f"<UpstreamConnection {connection.peer} idle>"

    connection.begin(Recorder(), REQUEST, False)
    assert repr(connection).endswith("busy>")
    connection.abort()
