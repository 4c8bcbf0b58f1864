"""How a worker gives memory back to the system, with glibc's allocator.

A worker's heap is mostly holes. A read of up to 250 KiB, the same bytes encrypted, OpenSSL's
buffers: each is freed a moment later, but a small block that was made meanwhile lies behind it,
and glibc returns by itself only what is free at the heap's end. What happened once would stay
resident, and with each mixture of traffic a little more.
"""

import asyncio
import ctypes
import gc
import sys
from functools import cache
from mmap import PAGESIZE

# mallopt(3)'s names for its parameters.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
# A block of this size or more gets its own pages if no free block is large enough. The bytes of a
# read (at most 250 KiB, over TLS 240) stay below: their memory is reused at once.
_OWN_PAGES = 260_000
# Free memory at the end of the heap, up to this size, is kept for the next blocks.
_KEPT = 4 * 1024 * 1024
# madvise(2)
_MADV_DONTNEED = 4
# How much more must be resident or free, in bytes, than after the last time: what is given back
# may have to be faulted in again.
_WORTH = 4 * 1024 * 1024


class _MallInfo(ctypes.Structure):
    """glibc's `struct mallinfo2` (mallinfo(3))."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


@cache
def _libc() -> ctypes.CDLL | None:
    """Return glibc, or None with another C library."""
    if sys.platform != "linux":
        return None
    found = ctypes.CDLL(None)
    if not hasattr(found, "gnu_get_libc_version"):
        return None
    if hasattr(found, "mallinfo2"):
        found.mallinfo2.restype = _MallInfo
    found.malloc_trim.argtypes = [ctypes.c_size_t]
    found.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return found


def configure_allocator() -> None:
    """Give large blocks pages of their own, and all threads one heap; only glibc can.

    Threads that look names up would have heaps of their own, which nothing ever trims.
    """
    if (libc := _libc()) is not None:
        libc.mallopt(_M_MMAP_THRESHOLD, _OWN_PAGES)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT)
        libc.mallopt(_M_ARENA_MAX, 1)


def discard_read_buffer(transport: asyncio.BaseTransport) -> None:
    """Give back the pages of the buffer that uvloop keeps for a TLS connection; else do nothing.

    The buffer has 256 KiB, of which most connections use a few. But malloc cuts it out of memory
    that was used before, all of which would then stay resident for as long as the connection
    lives. Between two reads it holds nothing: uvloop copies what it has read at once.
    """
    protocol = transport.get_extra_info("uvloop.sslproto")
    if protocol is None or (libc := _libc()) is None:
        return
    buffer = protocol.get_buffer(1)
    begin = ctypes.addressof(ctypes.c_char.from_buffer(buffer))
    first, last = -(-begin // PAGESIZE), (begin + len(buffer)) // PAGESIZE
    libc.madvise(first * PAGESIZE, (last - first) * PAGESIZE, _MADV_DONTNEED)


class FreeMemory:
    """Returns free memory to the system once enough has come together."""

    def __init__(self) -> None:
        # The least since the last time: what is returned stays free, but is resident no longer.
        self._resident = _resident()
        self._free = _free()
        self._idle = False

    def __repr__(self) -> str:
        return f"<FreeMemory {self._resident} bytes resident, {self._free} free>"

    def give_back(self, idle: bool) -> None:
        """Do so if it is worth it; call it every few seconds.

        It takes some 0.2 ms for each MiB. When a process becomes `idle`, garbage that only the
        collector finds is freed first: it has few objects to visit then, and nobody waits.
        """
        left, self._idle = idle and not self._idle, idle
        if left:
            gc.collect()
        resident, free = _resident(), _free()
        if left or resident > self._resident + _WORTH or free > self._free + _WORTH:
            if (libc := _libc()) is not None:
                libc.malloc_trim(0)
            self._resident, self._free = _resident(), free
        else:
            self._resident, self._free = min(resident, self._resident), min(free, self._free)


def _resident() -> int:
    """Return how many bytes are resident; 0 where that is unknown."""
    if sys.platform != "linux":
        return 0
    with open("/proc/self/statm", "rb") as statm:
        return int(statm.read().split()[1]) * PAGESIZE


def _free() -> int:
    """Return how many bytes of the heap are free; 0 where that is unknown, as before glibc 2.33."""
    libc = _libc()
    if libc is None or not hasattr(libc, "mallinfo2"):
        return 0
    return int(libc.mallinfo2().fordblks)
