"""Reading from a connection in pieces of a bounded size.

uvloop reads up to 250 KiB at once, in one block that stays whole until the last byte of it is sent
or read. What a slow reader may make us hold is therefore decided by the size of a read. But to
bound it costs a third of a microsecond a read, so that it is only done where much comes.
"""

import asyncio
import sys
import weakref
from collections.abc import Callable
from typing import Protocol, cast

# The most that is read at once of a connection that has brought more than that, in bytes.
READ_AT_ONCE = 96 * 1024
# The same for a connection's first read, when it has all that was sent before it was accepted, and
# for a client that sends more than is done for it at once.
READ_OF_GREEDY = 1 << 15
# After so many full reads in a row, others have their turn.
_FULL_READS = 4
# All connections of a process read into it, one after another.
_ROOM = memoryview(bytearray(READ_AT_ONCE))
_SMALL_ROOM = _ROOM[:READ_OF_GREEDY]
_NOBODY = asyncio.Protocol()


def _no_successor() -> asyncio.BaseProtocol | None:
    return None


class Reads(Protocol):
    """What a protocol tells of itself whose reads are bounded, beside asyncio's methods."""

    @property
    def reads(self) -> bool:
        """Whether it takes what comes now: False while it has paused its transport."""


class BoundedReads(asyncio.BufferedProtocol):
    """Passes everything on to `protocol`, at most `most` bytes at a time."""

    __slots__ = ("__weakref__", "_full", "_protocol", "_room", "_successor", "_transport", "rests")

    def __init__(
        self, protocol: asyncio.Protocol, transport: asyncio.Transport, most: int = READ_AT_ONCE
    ) -> None:
        self._protocol = protocol
        self._successor: Callable[[], asyncio.BaseProtocol | None] = _no_successor
        # A part of the one that all connections share.
        self._room = _ROOM[:most]
        secure = transport.get_extra_info("sslcontext") is not None
        # TLS reads once in each turn of the loop by itself.
        self._transport = None if secure else transport
        # Whether it reads on in the loop's next turn; how many full reads there were before that.
        self.rests = False
        self._full = 0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._protocol!r}>"

    @property
    def most(self) -> int:
        """How many bytes are read at most at a time."""
        return len(self._room)

    @property
    def reads(self) -> bool:
        """Whether the protocol takes what comes now."""
        return cast(Reads, self._protocol).reads

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where to read to."""
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        """Pass on what was read."""
        data = bytes(self._room[:nbytes])
        if nbytes == len(self._room):
            self._full += 1
            if self._full == _FULL_READS and self._transport is not None and not self.rests:
                # libuv would read on at once, up to 32 times as long as each read is full.
                self.rests = True
                self._transport.pause_reading()
                asyncio.get_running_loop().call_soon(self._read_on)
            self._full %= _FULL_READS
        self._protocol.data_received(data)

    def _read_on(self) -> None:
        if self.rests:
            self.rests = False
            if self._transport is not None and self.reads:
                self._transport.resume_reading()

    def eof_received(self) -> bool | None:
        """Pass the end on."""
        return self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass the loss on."""
        protocol, self._protocol, self._transport = self._protocol, _NOBODY, None
        if protocol is _NOBODY and (successor := self._successor()) is not None:
            # Over TLS, loops choose which protocol to notify a turn earlier.
            successor.connection_lost(exc)
        else:
            protocol.connection_lost(exc)

    def retire(self, successor: asyncio.BaseProtocol) -> None:
        """Refer to the protocol no longer: the transport has `successor` now.

        uvloop's TLS keeps our methods for ever: the protocol, its transport and all buffers would
        wait for the garbage collector.
        """
        self._protocol, self._transport, self.rests = _NOBODY, None, False
        if hasattr(successor, "__weakref__"):
            self._successor = weakref.ref(successor)

    def pause_writing(self) -> None:
        """Pass it on."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self._protocol.resume_writing()


class FirstRead(BoundedReads):
    """Bounds only the first two reads of a new connection, by `READ_OF_GREEDY` bytes.

    The second one is how it knows that there are more than one: most connections that bring a
    single request are closed before.
    """

    __slots__ = ("_has_read",)

    def __init__(self, protocol: asyncio.Protocol, transport: asyncio.Transport) -> None:
        self._protocol = protocol
        self._successor = _no_successor
        self._room = _SMALL_ROOM
        self._transport = transport
        self._has_read = self.rests = False

    @property
    def most(self) -> int:
        """More than any bound: the reads after the second one have none."""
        return sys.maxsize

    def buffer_updated(self, nbytes: int) -> None:
        """Pass on what was read; after the second time, `protocol` reads by itself."""
        protocol, data = self._protocol, bytes(_ROOM[:nbytes])
        if self._has_read and self._transport is not None:
            set_protocol(self._transport, protocol)
        self._has_read = True
        protocol.data_received(data)


def set_protocol(transport: asyncio.Transport, protocol: asyncio.BaseProtocol) -> None:
    """Give `transport` another protocol, which may be of another kind than the one it has."""
    current = transport.get_protocol()
    bounded = current if isinstance(current, BoundedReads) else None
    reading = transport.is_reading()
    # uvloop looks at the kind of protocol only when it begins to read.
    if reading:
        transport.pause_reading()
    transport.set_protocol(protocol)
    if reading or (bounded is not None and bounded.rests and bounded.reads):
        transport.resume_reading()
    if bounded is not None:
        bounded.retire(protocol)


def bound_reads(
    transport: asyncio.Transport, protocol: asyncio.Protocol, most: int = READ_AT_ONCE
) -> None:
    """Make `transport` read `most` bytes at most at a time, for its protocol `protocol`."""
    current = transport.get_protocol()
    if current is protocol or (isinstance(current, BoundedReads) and current.most > most):
        set_protocol(transport, BoundedReads(protocol, transport, most))
