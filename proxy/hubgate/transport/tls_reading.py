"""How decrypted bytes are read from a TLS connection: all there are at once."""

import ssl
from typing import Any, cast

# The most that TLS sends in one record, in bytes (RFC 8446, section 5.1).
_RECORD = 1 << 14
# What all connections of a process read into, one after the other, in bytes.
_ROOM = memoryview(bytearray(240 * 1024))


class ReadsAtOnce(ssl.SSLObject):
    """An SSLObject that gives large bodies in one piece, and takes no more memory than it needs.

    OpenSSL gives one record at a time. uvloop asks for each with 256 KiB, for which Python makes
    room before it knows how much comes, and joins them; that room is of the size that has pages
    of its own (see hubgate/transport/allocator.py), which cost three system calls and a page fault.
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
        """Return how much can be read at once; at the end 1, so that it is read and found."""
        return super().pending() or int(self._ended)


class Context(ssl.SSLContext):
    """A context whose connections read all there is at once."""

    sslobject_class = ReadsAtOnce

    def wrap_bio(self, incoming: ssl.MemoryBIO, *args: Any, **named: Any) -> ssl.SSLObject:
        """Return a connection between two buffers."""
        made = super().wrap_bio(incoming, *args, **named)
        cast(ReadsAtOnce, made).incoming = incoming
        return made
