"""How much is read at once, and that nothing is lost when that changes."""

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator, Callable
from typing import cast

import pytest

from hubgate.transport import bounded_reads
from hubgate.transport.bounded_reads import (
    READ_AT_ONCE,
    READ_OF_GREEDY,
    BoundedReads,
    FirstRead,
    bound_reads,
    set_protocol,
)

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])
MANY = 8
"""Full reads of all connections in one turn of the loop, before each has only one."""

DATA = random.Random(11).randbytes(3 << 20)


class Reading(asyncio.Protocol):
    """Notes what it is given, and what happens."""

    reads = True

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.events: list[str] = []
        # Called in the turn of the loop that follows the first read.
        self.on_first: Callable[[], None] | None = None
        # Called with each read, while it is told of it.
        self.on_each: Callable[[], None] | None = None
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.on_first is not None and not self.pieces:
            asyncio.get_running_loop().call_soon(self.on_first)
        self.pieces.append(data)
        if self.on_each is not None:
            self.on_each()

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")

    def eof_received(self) -> None:
        self.events.append("end")

    def connection_lost(self, exc: Exception | None) -> None:
        self.events.append("lost")
        self.over.set_result(None)


@pytest.fixture
async def ends() -> AsyncIterator[tuple[Reading, socket.socket]]:
    """A protocol with one end of a connection, and the socket of the other one."""
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    for sock in (ours, theirs):
        sock.setblocking(False)
    loop = asyncio.get_running_loop()
    _, reading = await loop.create_connection(Reading, sock=ours)
    yield reading, theirs
    reading.transport.abort()
    theirs.close()


def fill(theirs: socket.socket) -> int:
    """Send what the kernel takes while nothing is read; return how many bytes that was."""
    sent = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            sent += theirs.send(DATA[: 1 << 16])
    return sent


async def send(theirs: socket.socket, data: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(theirs, data)


async def test_no_read_is_larger(ends: tuple[Reading, socket.socket]) -> None:
    reading, theirs = ends
    bound_reads(reading.transport, reading)
    await send(theirs, DATA)
    theirs.close()
    await reading.over
    assert b"".join(reading.pieces) == DATA
    assert max(map(len, reading.pieces)) <= READ_AT_ONCE
    assert reading.events == ["end", "lost"]


async def test_the_first_reads_are_small(ends: tuple[Reading, socket.socket]) -> None:
    reading, theirs = ends
    reading.transport.pause_reading()
    reading.transport.set_protocol(FirstRead(reading, reading.transport))
    theirs.send(DATA[: 1 << 17])
    reading.transport.resume_reading()
    await send(theirs, DATA[1 << 17 :])
    theirs.close()
    await reading.over
    assert b"".join(reading.pieces) == DATA
    assert max(map(len, reading.pieces[:2])) <= READ_OF_GREEDY


async def test_what_is_first_read_may_be_bounded_at_once(
    ends: tuple[Reading, socket.socket],
) -> None:
    reading, theirs = ends
    set_protocol(reading.transport, FirstRead(reading, reading.transport))
    bound_reads(reading.transport, reading)
    await send(theirs, DATA)
    theirs.close()
    await reading.over
    assert b"".join(reading.pieces) == DATA
    assert max(map(len, reading.pieces)) <= READ_AT_ONCE


async def test_others_have_their_turn_after_a_few_full_reads(
    ends: tuple[Reading, socket.socket],
) -> None:
    reading, theirs = ends
    reading.transport.pause_reading()
    bound_reads(reading.transport, reading)
    sent = fill(theirs)
    assert sent > 2 * MANY * READ_AT_ONCE
    in_one_turn: list[int] = []
    reading.on_first = lambda: in_one_turn.append(len(reading.pieces))
    reading.transport.resume_reading()
    theirs.close()
    await reading.over
    assert sum(map(len, reading.pieces)) == sent
    assert in_one_turn[0] <= MANY


async def test_reads_are_counted_anew_in_each_turn(ends: tuple[Reading, socket.socket]) -> None:
    reading, theirs = ends
    bound_reads(reading.transport, reading)
    bounded = reading.transport.get_protocol()
    assert isinstance(bounded, BoundedReads)
    rests: list[bool] = []
    reading.on_each = lambda: rests.append(bounded.rests)
    for count in range(1, 2 * MANY + 1):
        theirs.send(DATA[:READ_AT_ONCE])
        while sum(map(len, reading.pieces)) < count * READ_AT_ONCE:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    assert {*map(len, reading.pieces)} == {READ_AT_ONCE}
    assert not any(rests)


async def test_who_pauses_while_others_have_their_turn_stays_paused(
    ends: tuple[Reading, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_reads, "_FULL_READS", 1)
    reading, theirs = ends
    bound_reads(reading.transport, reading)
    bounded = reading.transport.get_protocol()
    assert isinstance(bounded, BoundedReads)
    rests: list[bool] = []

    def pause() -> None:
        rests.append(bounded.rests)
        reading.reads = False
        reading.transport.pause_reading()

    reading.on_each = pause
    for _ in range(2):
        theirs.send(DATA[:READ_AT_ONCE])
    while not reading.pieces:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.02)
    assert rests == [True]
    assert not reading.transport.is_reading()

    reading.reads, reading.on_each = True, None
    reading.transport.resume_reading()
    theirs.close()
    await reading.over
    assert b"".join(reading.pieces) == DATA[:READ_AT_ONCE] * 2


async def test_another_protocol_gets_all_that_follows(ends: tuple[Reading, socket.socket]) -> None:
    first, theirs = ends
    bound_reads(first.transport, first)
    await send(theirs, DATA[:100])
    while not first.pieces:  # noqa: ASYNC110
        await asyncio.sleep(0.001)

    second = Reading()
    set_protocol(first.transport, second)
    await send(theirs, DATA[100:])
    theirs.close()
    await second.over
    assert first.pieces == [DATA[:100]]
    assert b"".join(second.pieces) == DATA[100:]


async def test_one_that_is_paused_stays_paused(ends: tuple[Reading, socket.socket]) -> None:
    reading, theirs = ends
    reading.transport.pause_reading()
    bound_reads(reading.transport, reading)
    theirs.send(b"hello")
    await asyncio.sleep(0.02)
    assert not reading.pieces
    reading.transport.resume_reading()
    while not reading.pieces:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    assert reading.pieces == [b"hello"]


async def test_a_slow_peer_shows_as_before(ends: tuple[Reading, socket.socket]) -> None:
    reading, theirs = ends
    bound_reads(reading.transport, reading)
    reading.transport.write(DATA)
    assert reading.events == ["pause"]
    loop, got = asyncio.get_running_loop(), 0
    while got < len(DATA):
        got += len(await loop.sock_recv(theirs, 1 << 18))
    await asyncio.sleep(0)
    assert reading.events == ["pause", "resume"]


async def test_another_protocol_reads_on_when_the_last_one_rests(
    ends: tuple[Reading, socket.socket],
) -> None:
    first, theirs = ends
    first.transport.pause_reading()
    bound_reads(first.transport, first)
    sent = fill(theirs)
    theirs.close()
    second, bounded = Reading(), first.transport.get_protocol()
    assert isinstance(bounded, BoundedReads)
    rested: list[bool] = []

    def change() -> None:
        rested.append(bounded.rests)
        set_protocol(first.transport, second)

    first.on_first = change
    first.transport.resume_reading()
    await second.over
    assert sum(map(len, first.pieces + second.pieces)) == sent
    assert rested == [not isinstance(asyncio.get_running_loop(), asyncio.SelectorEventLoop)]
