"""The link: a socket pair between the supervisor and one worker, and its framing.

A frame is a four-byte length, big-endian, and the pickle of one message. Pickle is safe here:
both ends are the same program, and no other process can hold an end.
"""

import asyncio
import os
import pickle
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
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
# And so many are written without waiting for a turn.
SHORT_CHANGE = 16

# Bytes that are written from the queue before others have their turn.
SENT_AT_ONCE = 1 << 14

# And bytes that are handled: half a millisecond of short messages, or one part of a large change.
HANDLED_AT_ONCE = 1 << 12

# Bytes read before what they say is handled.
READ_AHEAD = 1 << 18

# Seconds the other end has to read what was sent before this end closes.
FLUSH_LIMIT = 5.0

T = TypeVar("T")

Handle = Callable[[Message], None]


class LinkClosedError(ConnectionError):
    """The other end of the link is gone."""


class Link(asyncio.Protocol):
    """One end of the link: `send` queues messages in order, `deliver` or `receive` takes them.

    A short message is written at once, and handled when it is read: a change of one route waits
    for no other turn of the event loop than those in which its bytes arrive.
    """

    def __init__(self, received: bytes = b"") -> None:
        self._received = bytearray(received)
        self._handle: Handle | None = None
        self._rest: asyncio.Handle | None = None
        # Done when there is something new for `receive`; when everything is handled after the end.
        self._news: asyncio.Future[None] | None = None
        self._ended: asyncio.Future[None] | None = None
        self._lost = asyncio.Event()
        self._paused = False
        self._outgoing: asyncio.Queue[Message] = asyncio.Queue()
        self._queued = 0
        # Frames that are written together, while it is `_gathering`.
        self._gathered: list[bytes] = []
        self._gathering = False
        self._room = asyncio.Event()
        self._room.set()

    def __repr__(self) -> str:
        return f"<Link {'lost' if self._lost.is_set() else 'open'}, {self._queued} to send>"

    @classmethod
    async def open(cls, sock: socket.socket, received: bytes = b"") -> "Link":
        """Take over `sock`, one end of a stream socket pair; `received` was read from it before."""
        link = cls(received)
        await asyncio.get_running_loop().create_unix_connection(lambda: link, sock=sock)
        return link

    # --- sending -----------------------------------------------------------------------------

    def send(self, message: Message) -> None:
        """Send `message`; never blocks, and does nothing once the other end is gone."""
        if self._transport.is_closing():  # uvloop's raises RuntimeError at a write then
            return
        if self._queued or not self._room.is_set() or not _is_short(message):
            self._write_gathered()
            self._queued += 1
            self._outgoing.put_nowait(message)
            return
        self._gathered += map(encode, parts(message))
        if not self._gathering:
            self._write_gathered()
            # Each write wakes the other end up: what else is sent in this turn follows in one.
            self._gathering = True
            asyncio.get_running_loop().call_soon(self._end_gathering)

    def _end_gathering(self) -> None:
        self._gathering = False
        self._write_gathered()

    def _write_gathered(self) -> None:
        gathered, self._gathered = self._gathered, []
        if gathered and not self._transport.is_closing():
            self._transport.write(b"".join(gathered))

    async def flush(self) -> None:
        """Wait until all queued messages are with the kernel, or the other end is gone.

        Raises TimeoutError when the other end does not read for five seconds.
        """
        self._write_gathered()
        async with asyncio.timeout(FLUSH_LIMIT):
            joined = spawn(self._outgoing.join(), "link flush")
            try:
                await asyncio.wait({joined, self._sender}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                joined.cancel()
            # 64 KiB may be left with the event loop.
            while self._transport.get_write_buffer_size() and not self._transport.is_closing():  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def _send_all(self) -> None:
        unbroken = 0
        while True:
            message = await self._outgoing.get()
            for part in parts(message):
                await self._room.wait()
                if self._transport.is_closing():
                    return
                frame = encode(part)
                self._transport.write(frame)
                unbroken += len(frame)
                if unbroken > SENT_AT_ONCE:
                    unbroken = 0
                    await asyncio.sleep(0)
            self._queued -= 1
            self._outgoing.task_done()

    # --- receiving ---------------------------------------------------------------------------

    async def deliver(self, handle: Handle) -> None:
        """Call `handle` with each message as soon as it is read; return when there will be none.

        Others have their turn between the parts of what there is much of. What `handle` raises is
        raised here. After cancelling, nothing is lost.
        """
        self._handle = handle
        self._ended = asyncio.get_running_loop().create_future()
        try:
            self._deliver()
            await self._ended
        finally:
            self._handle = self._ended = None
            if self._rest is not None:
                self._rest.cancel()
                self._rest = None

    async def receive(self) -> Message:
        """Return the next message; raise LinkClosedError when there will be none."""
        while (message := self._next()) is None:
            if self._lost.is_set():
                raise LinkClosedError("the other end of the link is gone")
            self._pause(False)
            self._news = asyncio.get_running_loop().create_future()
            try:
                await self._news
            finally:
                self._news = None
        return message

    async def __aiter__(self) -> AsyncIterator[Message]:
        """Yield every message until the other end is gone."""
        with suppress(LinkClosedError):
            while True:
                yield await self.receive()

    def _deliver(self) -> None:
        """Handle what there is, or as much of it as others can wait for."""
        self._rest = None
        before, gathering, self._gathering = len(self._received), self._gathering, True
        try:
            while self._handle is not None and (message := self._next()) is not None:
                self._handle(message)
                if before - len(self._received) > HANDLED_AT_ONCE:
                    self._rest = asyncio.get_running_loop().call_soon(self._deliver)
                    return
        except Exception as error:
            self._handle = None
            _finish(self._ended, error)
            return
        finally:
            self._gathering = gathering
            if not gathering:
                self._write_gathered()
        self._pause(False)
        if self._lost.is_set():
            _finish(self._ended)

    def _next(self) -> Message | None:
        """Return the next message, None as long as it is not there as a whole."""
        held = self._received
        end = LENGTH_BYTES + int.from_bytes(held[:LENGTH_BYTES], "big")
        if len(held) < LENGTH_BYTES or len(held) < end:
            return None
        message: Message = pickle.loads(held[LENGTH_BYTES:end])
        del held[:end]
        return message

    def _pause(self, paused: bool) -> None:
        """Read no more for now, or read on."""
        if paused is not self._paused and not self._transport.is_closing():
            self._paused = paused
            (self._transport.pause_reading if paused else self._transport.resume_reading)()

    # --- the end -----------------------------------------------------------------------------

    async def hand_over(self) -> tuple[int, bytes]:
        """Hand this end over while nothing receives: return a descriptor, and what was read ahead.

        Raises LinkClosedError when the other end is gone, or does not read what was sent.
        """
        try:
            await self.flush()
            if self._transport.is_closing():  # uvloop's has no socket then
                raise BrokenPipeError
            fd = os.dup(self._transport.get_extra_info("socket").fileno())
        except OSError as error:  # a timeout, or the other end is gone
            raise LinkClosedError("the other end of the link does not read") from error
        self._pause(True)
        await self.close()
        return fd, bytes(self._received)

    async def close(self) -> None:
        """Close this end at once; what is still queued is dropped."""
        self._sender.cancel()
        self._transport.abort()
        await self._lost.wait()

    # --- asyncio.Protocol --------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._sender = spawn(self._send_all(), "link sender")

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) > READ_AHEAD:
            self._pause(True)
        if self._handle is not None and self._rest is None:
            self._deliver()
        _finish(self._news)

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._lost.set()
        self._room.set()
        if self._handle is not None and self._rest is None:
            self._deliver()
        _finish(self._news)


def _finish(future: asyncio.Future[None] | None, error: Exception | None = None) -> None:
    if future is None or future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def _is_short(message: Message) -> bool:
    """Whether it is sent in one frame, and quickly encoded."""
    match message:
        case Start():
            return False
        case Change(_, put, delete):
            return len(put) + len(delete) <= SHORT_CHANGE
        case _:
            return True


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
    if len(change.put) + len(change.delete) <= CHANGES_PER_FRAME:
        yield Change(change.revision, tuple(map(forwarding, change.put)), change.delete)
        return
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
    yield Change(change.revision, last.put, last.delete)


def _batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for first in range(0, len(items), size):
        yield items[first : first + size]


def _table(routes: Sequence[Route]) -> Table:
    bare = [route for route in routes if route.options is NO_OPTIONS]
    others = (forwarding(route) for route in routes if route.options is not NO_OPTIONS)
    keys, targets = (route.key for route in bare), (route.target for route in bare)
    return Table(tuple(keys), tuple(targets), tuple(others))
