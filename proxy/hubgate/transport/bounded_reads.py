"""Reading from a connection in pieces of a bounded size.

uvloop reads up to 250 KiB at once, in one block that stays whole until the last byte of it is sent
or read. What a slow reader may make us hold is therefore decided by the size of a read. But to
bound it costs a third of a microsecond a read, so that it is only done where much comes.

Not over TLS: there uvloop would keep the rest of what it has read until the loop's next turn, and
drop it if the connection's end comes before that.
"""

import asyncio
import sys
from typing import Protocol, cast

# The most that is read at once of a connection that has brought more than that, in bytes.
READ_AT_ONCE = 96 * 1024
# The same for a connection's first read, when it has all that was sent before it was accepted, and
# for a client that sends more than is done for it at once.
READ_OF_GREEDY = 1 << 15
# The same for what is passed on to one that has taken `_TRUST_AFTER` bytes without a pause. For one
# that does not read, Linux buffers 4 MiB and what its own side lets it (net.ipv4.tcp_wmem).
READ_OF_TRUSTED = 250 * 1024
_TRUST_AFTER = 8 << 20
# After so many full reads of all connections, each has its turn after one.
_FULL_READS = 8


class _Rooms:
    """Where all connections of a process read to, one after another, and how many did of late."""

    __slots__ = ("_full_reads", "_loop", "by_size", "lent")

    def __init__(self) -> None:
        # The loop in whose present turn so many reads were full.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._full_reads = 0
        sizes = (READ_OF_GREEDY, READ_AT_ONCE, READ_OF_TRUSTED)
        # One for each size of a read.
        self.by_size = {size: memoryview(bytearray(size)) for size in sizes}
        # The size of the one that was lent last.
        self.lent = READ_AT_ONCE

    def is_busy(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Count one more full read; return whether there were many in this turn of `loop`."""
        if self._loop is not loop:
            self._loop, self._full_reads = loop, 0
            loop.call_soon(self._begin_turn)
        self._full_reads += 1
        return self._full_reads >= _FULL_READS

    def _begin_turn(self) -> None:
        self._loop = None


_ROOMS = _Rooms()


class Reads(Protocol):
    """What a protocol tells of itself whose reads are bounded, beside asyncio's methods."""

    @property
    def reads(self) -> bool:
        """Whether it takes what comes now: False while it has paused its transport."""


class Borrows(Reads, Protocol):
    """A protocol that need not own what it reads."""

    def data_lent(self, data: memoryview) -> bool:
        """Take what was read, as `data_received` does: the next read overwrites `data`.

        Whoever has to keep it calls `keep_lent`. Return whether it was passed on as it came, to
        the same receiver as the bytes before.
        """


def keep_lent() -> None:
    """Keep what was lent last: the next read goes elsewhere."""
    _ROOMS.by_size[_ROOMS.lent] = memoryview(bytearray(_ROOMS.lent))


class _Nobody(asyncio.Protocol):
    """Takes what is still read for a protocol that has left."""

    def data_lent(self, data: memoryview) -> bool:
        """Drop it."""
        return False


_NOBODY = _Nobody()


class BoundedReads(asyncio.BufferedProtocol):
    """Passes everything on to `protocol`, at most `most` bytes at a time."""

    __slots__ = (
        "_loop",
        "_most",
        "_protocol",
        "_transport",
        "rests",
    )

    def __init__(
        self, protocol: asyncio.Protocol, transport: asyncio.Transport, most: int = READ_AT_ONCE
    ) -> None:
        self._protocol = protocol
        self._most = most
        self._transport: asyncio.Transport | None = transport
        self._loop = asyncio.get_running_loop()
        # Whether it reads on in the loop's next turn.
        self.rests = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._protocol!r}>"

    @property
    def most(self) -> int:
        """How many bytes are read at most at a time."""
        return self._most

    @property
    def reads(self) -> bool:
        """Whether the protocol takes what comes now."""
        return cast(Reads, self._protocol).reads

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where to read to."""
        return _ROOMS.by_size[self._most]

    def buffer_updated(self, nbytes: int) -> None:
        """Pass on what was read."""
        data = bytes(_ROOMS.by_size[self._most][:nbytes])
        if nbytes == self._most:
            self._rest()
        self._protocol.data_received(data)

    def _rest(self) -> None:
        """Read nothing more in this turn if others want theirs.

        libuv reads on at once, up to 32 times, as long as each read is full.
        """
        transport = self._transport
        if transport is not None and not self.rests and _ROOMS.is_busy(self._loop):
            self.rests = True
            transport.pause_reading()
            self._loop.call_soon(self._read_on)

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
        protocol = self._protocol
        self.retire()
        protocol.connection_lost(exc)

    def retire(self) -> None:
        """Leave the transport alone: it has another protocol, or has ended."""
        self._protocol, self._transport, self.rests = _NOBODY, None, False

    def pause_writing(self) -> None:
        """Pass it on."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self._protocol.resume_writing()


class LentReads(BoundedReads):
    """Lends what it reads to a protocol that passes most of it on: nothing is copied.

    A receiver that has taken more than the kernel buffers for one that does not read is trusted
    until it does not keep up for once: larger reads wake those at both ends less often.
    """

    __slots__ = ("_kept_up",)

    def __init__(
        self, protocol: asyncio.Protocol, transport: asyncio.Transport, most: int = READ_AT_ONCE
    ) -> None:
        super().__init__(protocol, transport, most)
        self._kept_up = 0

    def buffer_updated(self, nbytes: int) -> None:
        """Lend what was read."""
        most = self._most
        if nbytes == most:
            self._rest()
        _ROOMS.lent, room = most, _ROOMS.by_size[most]
        passed_on = cast(Borrows, self._protocol).data_lent(room[:nbytes])
        if not passed_on or room is not _ROOMS.by_size[most]:
            self._kept_up, self._most = 0, READ_AT_ONCE
        elif most == READ_AT_ONCE:
            self._kept_up += nbytes
            if self._kept_up > _TRUST_AFTER:
                self._most = READ_OF_TRUSTED


class FirstRead(BoundedReads):
    """Bounds only the first two reads of a new connection, by `READ_OF_GREEDY` bytes.

    The second one is how it knows that there are more than one: most connections that bring a
    single request are closed before.
    """

    __slots__ = ("_has_read",)

    def __init__(self, protocol: asyncio.Protocol, transport: asyncio.Transport) -> None:
        self._protocol = protocol
        self._most = READ_OF_GREEDY
        self._transport = transport
        self._has_read = self.rests = False

    @property
    def most(self) -> int:
        """More than any bound: the reads after the second one have none."""
        return sys.maxsize

    def buffer_updated(self, nbytes: int) -> None:
        """Pass on what was read; after the second time, `protocol` reads by itself."""
        protocol, data = self._protocol, bytes(_ROOMS.by_size[READ_OF_GREEDY][:nbytes])
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
        bounded.retire()


def bound_reads(
    transport: asyncio.Transport, protocol: asyncio.Protocol, most: int = READ_AT_ONCE
) -> None:
    """Make `transport` read `most` bytes at most at a time, for its protocol `protocol`.

    Over TLS it goes on reading what there is.
    """
    if transport.get_extra_info("sslcontext") is not None:
        return
    current = transport.get_protocol()
    if current is protocol or (isinstance(current, BoundedReads) and current.most > most):
        kind = LentReads if hasattr(protocol, "data_lent") else BoundedReads
        set_protocol(transport, kind(protocol, transport, most))
