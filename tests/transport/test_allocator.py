"""Which blocks glibc's allocator gives pages of their own."""

import asyncio
import ctypes
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hubgate.transport.allocator import buffer_on_own_pages, give_large_blocks_own_pages

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="is about glibc")

# What uvloop allocates for a TLS connection, and the most that a read leaves, in bytes.
BUFFER = 262_144
READ = 256_033

LIBC = ctypes.CDLL(None)
LIBC.malloc.restype = ctypes.c_void_p
LIBC.free.argtypes = [ctypes.c_void_p]


@contextmanager
def allocated(size: int) -> Iterator[int]:
    block = LIBC.malloc(size)
    yield block
    LIBC.free(block)


def apart(block: int) -> bool:
    """Say whether a block has pages of its own: glibc says so in the word before it."""
    return bool(ctypes.c_size_t.from_address(block - 8).value & 2)


def test_a_buffer_is_apart_though_there_is_room_elsewhere() -> None:
    # In a process of its own: the heap of this one may have any number of large free blocks.
    done = subprocess.run([sys.executable, "-m", __name__], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


async def buffer_is_apart() -> None:
    give_large_blocks_own_pages()
    with allocated(READ) as first, allocated(READ) as second:
        assert not apart(first)
        assert not apart(second)
    with allocated(BUFFER) as block:
        assert not apart(block), "there was no room: nothing is tried"

    made = buffer_on_own_pages(asyncio.Protocol)()
    assert isinstance(made, asyncio.Protocol)
    with allocated(BUFFER) as block:
        assert apart(block)

    await asyncio.sleep(0)
    with allocated(BUFFER) as block:
        assert not apart(block), "what was held is not free again"


if __name__ == "__main__":
    asyncio.run(buffer_is_apart())
