"""Reading from a connection in pieces of a bounded size.

uvloop reads up to 250 KiB at once, in one block that stays whole until the last byte of it is sent
or read. What a slow reader may make us hold is therefore decided by the size of a read. But to
bound it costs a third of a microsecond a read, so that it is only done where much comes.
"""

import asyncio

# The most that is read at once of a connection that has brought more than that, in bytes.
READ_AT_ONCE = 96 * 1024
# The same for a connection's first read, when it has all that was sent before it was accepted.
_FIRST_READ = 1 << 15
# All connections of a process read into it, one after another.
_ROOM = memoryview(bytearray(READ_AT_ONCE))
_FIRST_ROOM = _ROOM[:_FIRST_READ]


class BoundedReads(asyncio.BufferedProtocol):
    """Passes everything on to `protocol`, at most `READ_AT_ONCE` bytes at a time."""

    __slots__ = ("_protocol", "_room")

    def __init__(self, protocol: asyncio.Protocol) -> None:
        self._protocol = protocol
        # A part of the one that all connections share.
        self._room = _ROOM

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._protocol!r}>"

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where to read to."""
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        """Pass on what was read."""
        self._protocol.data_received(bytes(_ROOM[:nbytes]))

    def eof_received(self) -> bool | None:
        """Pass the end on."""
        return self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass the loss on."""
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass it on."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self._protocol.resume_writing()


class FirstRead(BoundedReads):
    """Bounds only the first two reads of a new connection, by `_FIRST_READ` bytes.

    The second one is how it knows that there are more than one: most connections that bring a
    single request are closed before.
    """

    __slots__ = ("_has_read", "_transport")

    def __init__(self, protocol: asyncio.Protocol, transport: asyncio.Transport) -> None:
        self._protocol = protocol
        self._room = _FIRST_ROOM
        self._transport = transport
        self._has_read = False

    def buffer_updated(self, nbytes: int) -> None:
        """Pass on what was read; after the second time, `protocol` reads by itself."""
        if self._has_read:
            set_protocol(self._transport, self._protocol)
        self._has_read = True
        super().buffer_updated(nbytes)


def set_protocol(transport: asyncio.Transport, protocol: asyncio.BaseProtocol) -> None:
    """Give `transport` another protocol, which may be of another kind than the one it has."""
    reading = transport.is_reading()
    # uvloop looks at the kind of protocol only when it begins to read.
    if reading:
        transport.pause_reading()
    transport.set_protocol(protocol)
    if reading:
        transport.resume_reading()


def bound_reads(transport: asyncio.Transport, protocol: asyncio.Protocol) -> None:
    """Make `transport` read `READ_AT_ONCE` bytes at most at a time, for its protocol `protocol`."""
    current = transport.get_protocol()
    if current is protocol or isinstance(current, FirstRead):
        set_protocol(transport, BoundedReads(protocol))
