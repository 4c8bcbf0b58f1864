"""The link: one socket pair between the supervisor and one worker, and what is said on it.

A frame is four bytes of length, big-endian, and the pickle of one message. Pickle is safe here:
both ends are one program, and nobody else can hold an end.
"""

import asyncio
import pickle
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace

from proxy.tasks import spawn
from proxy.worker.messages import Message, Start, Table

# A frame of this many routes takes about ten milliseconds at either end, so that a table of
# 100,000 routes stalls neither the API nor a worker that is forwarding.
ROUTES_PER_FRAME = 2000
LENGTH_BYTES = 4


class LinkClosedError(ConnectionError):
    """The other end of the link is gone."""


class Link:
    """One end of the link: messages go out in the order of `send` and come in by iterating."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._outgoing: asyncio.Queue[Message] = asyncio.Queue()
        self._sender = spawn(self._send_all(), "link sender")

    @classmethod
    async def open(cls, sock: socket.socket) -> "Link":
        """Take over `sock`, one end of a stream socket pair."""
        return cls(*await asyncio.open_unix_connection(sock=sock))

    def send(self, message: Message) -> None:
        """Queue `message`; never blocks, and does nothing once the other end is gone."""
        if not self._sender.done():
            self._outgoing.put_nowait(message)

    async def flush(self) -> None:
        """Wait until all that was queued is with the kernel, or the other end is gone."""
        joined = spawn(self._outgoing.join(), "link flush")
        await asyncio.wait({joined, self._sender}, return_when=asyncio.FIRST_COMPLETED)
        joined.cancel()

    async def receive(self) -> Message:
        """Return the next message; raise LinkClosedError when there will be none."""
        try:
            head = await self._reader.readexactly(LENGTH_BYTES)
            body = await self._reader.readexactly(int.from_bytes(head, "big"))
        except (asyncio.IncompleteReadError, OSError) as error:
            raise LinkClosedError("the other end of the link is gone") from error
        message: Message = pickle.loads(body)
        return message

    async def __aiter__(self) -> AsyncIterator[Message]:
        """Yield every message until the other end is gone."""
        with suppress(LinkClosedError):
            while True:
                yield await self.receive()

    async def close(self) -> None:
        """Close this end at once; what is still queued is dropped."""
        self._sender.cancel()
        self._writer.transport.abort()
        with suppress(OSError):
            await self._writer.wait_closed()

    async def _send_all(self) -> None:
        with suppress(OSError):
            while True:
                message = await self._outgoing.get()
                for part in parts(message):
                    self._writer.write(encode(part))
                    await self._writer.drain()
                    await asyncio.sleep(0)  # drain() alone never yields while there is room
                self._outgoing.task_done()


def encode(message: Message) -> bytes:
    """Return `message` as one frame."""
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def parts(message: Message) -> Iterator[Message]:
    """Yield `message`, a Start with a large table as several messages of bounded size."""
    if not isinstance(message, Start):
        yield message
        return
    routes = message.routes
    last = max(len(routes) - ROUTES_PER_FRAME, 0)
    for first in range(0, last, ROUTES_PER_FRAME):
        yield Table(routes[first : first + ROUTES_PER_FRAME])
    sent = len(range(0, last, ROUTES_PER_FRAME)) * ROUTES_PER_FRAME
    yield replace(message, routes=routes[sent:])
