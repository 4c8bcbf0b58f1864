"""How a worker's memory comes back from large blocks."""

import ctypes
import sys

# mallopt(3)'s names for its parameters.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
# uvloop keeps a buffer of 256 KiB for every TLS connection. A block of this size or more gets
# pages of its own, which go back when it is freed, and of which only what is touched counts; with
# glibc's own, growing threshold they leave holes among small blocks that nothing else fits into.
# A read's bytes (250 KiB at most, over TLS a record) stay below: they are used again at once.
_OWN_PAGES = 260_000
# Free memory at the heap's end up to this size is kept for the next blocks.
_KEPT = 4 * 1024 * 1024


def keep_large_blocks_apart() -> None:
    """Tell glibc's allocator so; nothing happens where there is another."""
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # musl has none
        mallopt(_M_MMAP_THRESHOLD, _OWN_PAGES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
