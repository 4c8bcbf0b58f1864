"""How a worker gets the memory of large blocks back, with glibc's allocator.

uvloop keeps a buffer of 256 KiB for every TLS connection. On its own pages, only the part that
is touched counts, and all of it goes back to the system when it is freed. Among other blocks it
would lie in memory that was used before, and the gap it leaves would fill with small blocks, so
the next buffer would need room elsewhere.
"""

import asyncio
import ctypes
import sys
from collections.abc import Callable
from functools import cache
from typing import TypeVar

P = TypeVar("P", bound=asyncio.BaseProtocol)

# mallopt(3)'s names for its parameters.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
# A block of this size or more gets its own pages if no free block is large enough. The bytes of a
# read (at most 250 KiB, over TLS 240) stay below: their memory is reused at once.
_OWN_PAGES = 260_000
# Free memory at the end of the heap, up to this size, is kept for the next blocks.
_KEPT = 4 * 1024 * 1024
_BUFFER = 256 * 1024
# Free blocks beyond this many are not held; only where a buffer lies is at stake.
_MOST_HELD = 64
# In the word before a block: it has its own pages (glibc, malloc.c: IS_MMAPPED).
_MAPPED = 2


@cache
def _libc() -> ctypes.CDLL | None:
    """Return glibc, or None with another C library."""
    if sys.platform != "linux":
        return None
    found = ctypes.CDLL(None)
    if not hasattr(found, "gnu_get_libc_version"):
        return None
    found.malloc.restype = ctypes.c_void_p
    found.malloc.argtypes = [ctypes.c_size_t]
    found.free.argtypes = [ctypes.c_void_p]
    found.free.restype = None
    return found


def give_large_blocks_own_pages() -> None:
    """Configure glibc's allocator to do so; does nothing with another one."""
    if (libc := _libc()) is not None:
        libc.mallopt(_M_MMAP_THRESHOLD, _OWN_PAGES)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT)


def buffer_on_own_pages(factory: Callable[[], P]) -> Callable[[], P]:
    """Return `factory` for uvloop to call before it makes a TLS connection.

    The connection's buffer, which it allocates next, gets its own pages: all free blocks that
    are large enough are held until the event loop's next turn.
    """
    libc, loop = _libc(), asyncio.get_running_loop()
    if libc is None:
        return factory

    def make() -> P:
        protocol = factory()
        if held := _hold(libc):
            loop.call_soon(_release, libc, held)
        return protocol

    return make


def _hold(libc: ctypes.CDLL) -> list[int]:
    held: list[int] = []
    while len(held) < _MOST_HELD and (block := libc.malloc(_BUFFER)):
        if ctypes.c_size_t.from_address(block - ctypes.sizeof(ctypes.c_size_t)).value & _MAPPED:
            libc.free(block)
            break
        held.append(block)
    return held


def _release(libc: ctypes.CDLL, held: list[int]) -> None:
    for block in held:
        libc.free(block)
