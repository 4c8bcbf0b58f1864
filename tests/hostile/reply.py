"""What a hostile reply is: what the target sends, and what its client may get of it."""

import asyncio
import threading
from dataclasses import dataclass
from enum import Enum

from hubgate.tasks import spawn
from tests.hostile.building import get
from tests.hostile.entry import Pause
from tests.hostile.stream import Stream


class Close(Enum):
    """How the target ends its connection."""

    END = "an end of stream"
    RESET = "a reset"


@dataclass(frozen=True)
class Repeated:
    """`part` again and again, `times` in all, with back-pressure."""

    part: bytes
    times: int


@dataclass(frozen=True)
class Heard:
    """Wait until the asking client has received `data`."""

    data: bytes


Piece = bytes | Pause | Heard | Repeated | Close


@dataclass(frozen=True)
class Got:
    """An acceptable thing for the asking client to get: an answer with that status.

    None as `body` accepts any, `absent` are fields that may not be there.
    """

    statuses: frozenset[int]
    body: bytes | None = None
    absent: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Broken:
    """The connection is closed or reset before a whole answer: nobody can take it for one."""


FAILED = Got(frozenset((500, 502, 503)))
"""An error page of the proxy's own."""


def ok(body: bytes = b"", *absent: bytes) -> Got:
    """Return the outcome 200 with exactly that body."""
    return Got(frozenset((200,)), body, absent)


@dataclass(frozen=True)
class Reply:
    """A hostile reply to `ask`, whose path is /reply; `bodiless` as in Entry.

    `rest` is what the client sends when it has its answer.
    """

    name: str
    pieces: tuple[Piece, ...]
    outcomes: tuple[Got | Broken, ...]
    ask: bytes = get(b"/reply")
    bodiless: bool = False
    rest: bytes = b""

    @property
    def long(self) -> bool:
        """True when it takes a while, during which others ask, too."""
        return any(isinstance(piece, Repeated) for piece in self.pieces)

    @property
    def heard(self) -> bytes:
        """What its client has to receive before the target goes on; empty for nothing."""
        return next((piece.data for piece in self.pieces if isinstance(piece, Heard)), b"")


class Sending:
    """Sends `pieces` on the stream it is called with; `done` is set when all are sent.

    A piece Heard waits until somebody sets `heard`.
    """

    def __init__(self, pieces: tuple[Piece, ...]) -> None:
        self._pieces = pieces
        self.done = threading.Event()
        self.heard = threading.Event()

    def __call__(self, stream: Stream) -> None:
        spawn(self._send(stream), "hostile reply")

    async def _send(self, stream: Stream) -> None:
        try:
            for piece in self._pieces:
                if stream.transport.is_closing():
                    return
                await self._take(stream, piece)
        finally:
            self.done.set()

    async def _take(self, stream: Stream, piece: Piece) -> None:
        if isinstance(piece, bytes):
            stream.transport.write(piece)
        elif isinstance(piece, Pause):
            await asyncio.sleep(piece.seconds)
        elif isinstance(piece, Heard):
            while not self.heard.is_set():  # noqa: ASYNC110 - another thread sets it
                await asyncio.sleep(0.005)
        elif isinstance(piece, Repeated):
            await _repeat(stream, piece)
        elif piece is Close.END:
            stream.transport.close()
        else:
            stream.transport.abort()


async def _repeat(stream: Stream, repeated: Repeated) -> None:
    batch = max(1, 65536 // len(repeated.part))
    for done in range(0, repeated.times, batch):
        if stream.transport.is_closing():
            return
        stream.transport.write(repeated.part * min(batch, repeated.times - done))
        await stream.writable.wait()
        await asyncio.sleep(0)
