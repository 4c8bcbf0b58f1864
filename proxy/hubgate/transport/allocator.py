"""How a worker's memory comes back from large blocks, with glibc's allocator.

uvloop keeps a buffer of 256 KiB for every TLS connection. On pages of its own, only what is
touched of it counts, and all goes back to the system when it is freed. Among other blocks it
would be in memory that was used before, and what it leaves there is filled with small blocks,
so that the next one needs room elsewhere.
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
# A block of this size or more gets pages of its own if no free one is large enough. A read's
# bytes (250 KiB at most, over TLS 240) stay below: they are used again at once.
_OWN_PAGES = 260_000
# Free memory at the heap's end up to this size is kept for the next blocks.
_KEPT = 4 * 1024 * 1024
_BUFFER = 256 * 1024
# More free blocks than these are left free; only a buffer's place is at stake.
_MOST_HELD = 64
# In the word before a block: it has pages of its own (glibc, malloc.c: IS_MMAPPED).
_MAPPED = 2


@cache
def _libc() -> ctypes.CDLL | None:
    """Return glibc, None where there is another library."""
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
    """Tell the allocator so; nothing happens where there is another."""
    if (libc := _libc()) is not None:
        libc.mallopt(_M_MMAP_THRESHOLD, _OWN_PAGES)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT)


def buffer_on_own_pages(factory: Callable[[], P]) -> Callable[[], P]:
    """Return `factory` for uvloop to call before it makes a TLS connection.

    The connection's buffer, which it allocates next, gets pages of its own: until the event loop
    goes on, all free blocks that are large enough are held.
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
