"""The link: a socket pair between the supervisor and one worker, and its framing.

A frame is a four-byte length, big-endian, and the pickle of one message. Pickle is safe here:
both ends are the same program, and no other process can hold an end.
"""

import asyncio
import os
import pickle
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar, cast

from hubgate.model import NO_OPTIONS, Route
from hubgate.tasks import spawn
from hubgate.worker.messages import PART, Change, Message, Start, Table, forwarding

# A frame of this many routes takes about a millisecond at either end, so that a table of
# 100,000 routes stalls neither the API nor anything else running on the core.
ROUTES_PER_FRAME = 2000
LENGTH_BYTES = 4

# Of a change: a worker needs longer for each, as it puts them into the table in use.
CHANGES_PER_FRAME = 250

# Short messages that are queued together are sent together, up to this many bytes: one system
# call and one wake-up at the other end for all of them.
SENT_AT_ONCE = 1 << 14

# Seconds the other end has to read what was sent before this end closes.
FLUSH_LIMIT = 5.0
READ_AHEAD = 1024 * 1024

T = TypeVar("T")


class LinkClosedError(ConnectionError):
    """The other end of the link is gone."""


class Link:
    """One end of the link: `send` queues messages in order, iterating yields received ones."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, received: bytes = b""
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._received = received  # comes before anything in the reader
        self._outgoing: asyncio.Queue[Message] = asyncio.Queue()
        self._sender = spawn(self._send_all(), "link sender")

    @classmethod
    async def open(cls, sock: socket.socket, received: bytes = b"") -> "Link":
        """Take over `sock`, one end of a stream socket pair; `received` was read from it before."""
        return cls(*await asyncio.open_unix_connection(sock=sock), received)

    def send(self, message: Message) -> None:
        """Queue `message`; never blocks, and does nothing once the other end is gone."""
        if not self._sender.done():
            self._outgoing.put_nowait(message)

    async def flush(self) -> None:
        """Wait until all queued messages are with the kernel, or the other end is gone.

        Raises TimeoutError when the other end does not read for five seconds.
        """
        transport = self._writer.transport
        async with asyncio.timeout(FLUSH_LIMIT):
            joined = spawn(self._outgoing.join(), "link flush")
            try:
                await asyncio.wait({joined, self._sender}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                joined.cancel()
            # drain() leaves up to 64 KiB with the event loop.
            while transport.get_write_buffer_size() and not transport.is_closing():  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def receive(self) -> Message:
        """Return the next message; raise LinkClosedError when there will be none."""
        try:
            await self._have(LENGTH_BYTES)
            end = LENGTH_BYTES + int.from_bytes(self._received[:LENGTH_BYTES], "big")
            await self._have(end)
        except (asyncio.IncompleteReadError, OSError) as error:
            raise LinkClosedError("the other end of the link is gone") from error
        body, self._received = self._received[LENGTH_BYTES:end], self._received[end:]
        message: Message = pickle.loads(body)
        return message

    async def _have(self, count: int) -> None:
        """Wait for that many bytes; cancelling this loses none."""
        if (missing := count - len(self._received)) > 0:
            self._received += await self._reader.readexactly(missing)

    async def __aiter__(self) -> AsyncIterator[Message]:
        """Yield every message until the other end is gone."""
        with suppress(LinkClosedError):
            while True:
                yield await self.receive()

    async def hand_over(self) -> tuple[int, bytes]:
        """Hand this end over while nothing receives: return a descriptor, and what was read ahead.

        Raises LinkClosedError when the other end is gone, or does not read what was sent.
        """
        transport = self._writer.transport
        try:
            await self.flush()
            if transport.is_closing():  # uvloop's has no socket then
                raise BrokenPipeError
            fd = os.dup(transport.get_extra_info("socket").fileno())
        except OSError as error:  # a timeout, or the other end is gone
            raise LinkClosedError("the other end of the link does not read") from error
        await self._read_ahead()
        await self.close()
        return fd, self._received

    async def _read_ahead(self) -> None:
        """Take everything the reader has, and stop it from reading more."""
        transport = cast(asyncio.ReadTransport, self._writer.transport)
        data = b"there may be some"
        while data or transport.is_reading():
            if transport.is_reading():
                transport.pause_reading()
            reading = spawn(self._reader.read(READ_AHEAD), "read ahead")
            await asyncio.wait({reading}, timeout=0)
            data = b""
            if not reading.done():
                reading.cancel()
                await asyncio.wait({reading})
            if not reading.cancelled() and reading.exception() is None:
                data = reading.result()
            self._received += data

    async def close(self) -> None:
        """Close this end at once; what is still queued is dropped."""
        self._sender.cancel()
        self._writer.transport.abort()
        with suppress(OSError):
            await self._writer.wait_closed()

    async def _send_all(self) -> None:
        unbroken = 0
        with suppress(OSError):
            while True:
                message = await self._outgoing.get()
                for part in parts(message):
                    if self._writer.transport.is_closing():
                        return  # uvloop's raises RuntimeError then
                    frame = encode(part)
                    self._writer.write(frame)
                    await self._writer.drain()
                    # drain() alone does not yield while there is room.
                    unbroken += len(frame)
                    if unbroken > SENT_AT_ONCE:
                        unbroken = 0
                        await asyncio.sleep(0)
                self._outgoing.task_done()


def encode(message: Message) -> bytes:
    """Return `message` as one frame."""
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def parts(message: Message) -> Iterator[Message]:
    """Yield `message` as it is sent: a table, or a change, in messages of bounded size."""
    match message:
        case Start():
            for routes in _batches(message.routes, ROUTES_PER_FRAME):
                yield _table(routes)
            yield replace(message, routes=())
        case Change():
            yield from _changes(message)
        case _:
            yield message


def _changes(change: Change) -> Iterator[Change]:
    """Cut a change up; its last part has its number, and is acknowledged with it."""
    last = Change(PART, (), ())
    for keys in _batches(change.delete, CHANGES_PER_FRAME):
        if last.delete:
            yield last
        last = Change(PART, (), tuple(keys))
    for routes in _batches(change.put, CHANGES_PER_FRAME):
        put = tuple(map(forwarding, routes))
        if len(put) + len(last.put) + len(last.delete) > CHANGES_PER_FRAME:
            yield last
            last = Change(PART, put, ())
        else:
            last = Change(PART, put, last.delete)
    yield replace(last, revision=change.revision)


def _batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for first in range(0, len(items), size):
        yield items[first : first + size]


def _table(routes: Sequence[Route]) -> Table:
    bare = [route for route in routes if route.options is NO_OPTIONS]
    others = (forwarding(route) for route in routes if route.options is not NO_OPTIONS)
    keys, targets = (route.key for route in bare), (route.target for route in bare)
    return Table(tuple(keys), tuple(targets), tuple(others))
