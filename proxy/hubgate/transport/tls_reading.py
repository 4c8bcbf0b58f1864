"""How decrypted bytes are read from a TLS connection: all that are available at once."""

import ssl
from typing import Any, cast

# The most that TLS sends in one record, in bytes (RFC 8446, section 5.1).
_RECORD = 1 << 14
# The buffer that all connections of a process read into, one after another, in bytes.
_ROOM = memoryview(bytearray(240 * 1024))


class ReadsAtOnce(ssl.SSLObject):
    """An SSLObject that returns large bodies in one piece, and takes no more memory than it needs.

    OpenSSL returns one record at a time. uvloop asks for 256 KiB each time, which Python allocates
    before it knows how much will come, and joins the records; a block of that size gets its own
    pages (see hubgate/transport/allocator.py), which cost three system calls and a page fault.
    """

    incoming: ssl.MemoryBIO
    _ended = False

    def read(self, len: int = 1024, buffer: Any = None) -> Any:
        """Read up to `len` bytes, into `buffer` if there is one; b"" or 0 at the end."""
        if buffer is not None:
            return super().read(len, buffer)
        if self.incoming.pending <= _RECORD:
            return super().read(min(len, _RECORD))
        most = min(len, _ROOM.nbytes)
        got: int = super().read(most, _ROOM)  # type: ignore[assignment]
        while 0 < got < most and (self.incoming.pending or super().pending()):
            try:
                more: int = super().read(most - got, _ROOM[got:])  # type: ignore[assignment]
            except ssl.SSLWantReadError:
                break
            if not more:
                self._ended = True
                break
            got += more
        return bytes(_ROOM[:got])

    def pending(self) -> int:
        """Return how much can be read at once; 1 at the end, so that a read finds it."""
        return super().pending() or int(self._ended)


class Context(ssl.SSLContext):
    """A context whose connections read everything available at once."""

    sslobject_class = ReadsAtOnce

    def wrap_bio(self, incoming: ssl.MemoryBIO, *args: Any, **named: Any) -> ssl.SSLObject:
        """Return a connection between two buffers."""
        made = super().wrap_bio(incoming, *args, **named)
        cast(ReadsAtOnce, made).incoming = incoming
        return made
