"""Reading from a connection in pieces of a bounded size.

uvloop reads up to 250 KiB at once, in one block that stays whole until the last byte of it is sent
or read. What a slow reader may make us hold is therefore decided by the size of a read.
"""

import asyncio

# The most that is read at once, in bytes.
READ_AT_ONCE = 96 * 1024
# All connections of a process read into it, one after another.
_ROOM = memoryview(bytearray(READ_AT_ONCE))


class BoundedReads(asyncio.BufferedProtocol):
    """Passes everything on to `protocol`, at most `READ_AT_ONCE` bytes at a time."""

    __slots__ = ("_protocol",)

    def __init__(self, protocol: asyncio.Protocol) -> None:
        self._protocol = protocol

    def __repr__(self) -> str:
        return f"<BoundedReads of {self._protocol!r}>"

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where to read to."""
        return _ROOM

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


def bound_reads(transport: asyncio.Transport, protocol: asyncio.Protocol) -> None:
    """Make `transport` read `READ_AT_ONCE` bytes at most at a time, for its protocol `protocol`."""
    reading = transport.is_reading()
    # Loops look at the kind of protocol when they begin to read.
    if reading:
        transport.pause_reading()
    transport.set_protocol(BoundedReads(protocol))
    if reading:
        transport.resume_reading()
