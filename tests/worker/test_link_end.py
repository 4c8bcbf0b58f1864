"""A link whose other end goes, on the event loop of both ends in production."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
import uvloop

from hubgate.model import Route
from hubgate.tasks import spawn
from hubgate.worker import link as link_module
from hubgate.worker.link import Link, LinkClosedError
from hubgate.worker.messages import Ack, Change
from tests.control.waiting import until

# More than the kernel takes for somebody who does not read.
LARGE = Change(1, tuple(Route(f"/{number}", "http://127.0.0.1:1") for number in range(20_000)), ())


def run(test: Callable[[Link, socket.socket], Awaitable[None]]) -> None:
    """Run `test` with a link and the socket at its other end."""

    async def with_link() -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        with theirs:
            link = await Link.open(ours)
            try:
                await test(link, theirs)
            finally:
                await link.close()

    uvloop.run(with_link())


async def lose(link: Link, theirs: socket.socket) -> None:
    """Have the other end gone with something unread, and the link know."""
    link.send(Ack(1))
    await until(lambda: unread(theirs))
    theirs.close()
    await until(link._transport.is_closing)


def unread(sock: socket.socket) -> bytes:
    with suppress(BlockingIOError):
        return sock.recv(1, socket.MSG_PEEK)
    return b""


def test_a_link_that_is_lost_cannot_be_handed_over() -> None:
    async def test(link: Link, theirs: socket.socket) -> None:
        await lose(link, theirs)
        with pytest.raises(LinkClosedError, match="does not read"):
            await link.hand_over()

    run(test)


def test_a_link_that_is_lost_while_it_is_handed_over_is_lost() -> None:
    async def test(link: Link, theirs: socket.socket) -> None:
        link.send(LARGE)
        handing = spawn(hand_over(link), "hand over")
        await until(link._transport.get_write_buffer_size)
        assert not handing.done()
        theirs.close()
        assert "does not read" in await handing

    run(test)


def test_what_is_sent_on_a_lost_link_is_dropped() -> None:
    async def test(link: Link, theirs: socket.socket) -> None:
        await lose(link, theirs)
        for message in (Ack(2), LARGE):
            link.send(message)
        await link.flush()
        assert not link._queued

    run(test)


def test_flushed_is_what_the_kernel_has() -> None:
    """As much is left with the event loop, before, as drain() lets be there."""

    async def test(link: Link, theirs: socket.socket) -> None:
        fill(link)
        link.send(Ack(2))
        await until(link._outgoing.empty)
        flushing = spawn(link.flush(), "flush")
        for _ in range(10):
            await asyncio.sleep(0)
        assert not flushing.done()
        while not flushing.done():
            with suppress(BlockingIOError):
                theirs.recv(1 << 20)
            await asyncio.sleep(0)
        await flushing
        assert link._transport.get_write_buffer_size() == 0

    run(test)


def test_nobody_waits_for_ever_for_one_that_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "FLUSH_LIMIT", 0.1)

    async def test(link: Link, theirs: socket.socket) -> None:
        fill(link)
        link.send(Ack(2))
        with pytest.raises(TimeoutError):
            await link.flush()

    run(test)


def fill(link: Link) -> None:
    """Give the kernel all it takes for the other end."""
    with suppress(BlockingIOError):
        while True:
            os.write(link._transport.get_extra_info("socket").fileno(), bytes(1 << 16))


async def hand_over(link: Link) -> str:
    """Return why it could not be handed over."""
    with pytest.raises(LinkClosedError) as raised:
        await link.hand_over()
    return str(raised.value)
