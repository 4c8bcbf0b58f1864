"""What a worker's memory does that it no longer needs.

Each test runs in a process of its own: the heap of this one may have any number of free blocks.
"""

import asyncio
import ctypes
import gc
import platform
import ssl
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable
from mmap import PAGESIZE
from pathlib import Path

import pytest
import uvloop

from hubgate.certificates.contexts import server_context
from hubgate.model import ServerTLS
from hubgate.transport.allocator import FreeMemory, configure_allocator, discard_read_buffer
from tests.certificates.made import make_files

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="is about glibc")

# What uvloop allocates for a TLS connection, and the most that a read leaves, in bytes.
BUFFER = 262_144
READ = 256_033
MIB = 1 << 20
# In the word before a block: it has its own pages; it is not in the first heap.
MAPPED, ELSEWHERE = 2, 4

LIBC = ctypes.CDLL(None)
LIBC.malloc.restype = ctypes.c_void_p
LIBC.free.argtypes = [ctypes.c_void_p]


def flags_of(size: int) -> int:
    """Return what glibc writes in the word before a new block of this size; it is never freed."""
    return int(ctypes.c_size_t.from_address(LIBC.malloc(size) - 8).value) & 7


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGESIZE


def leave_holes(size: int, blocks: int) -> list[int]:
    """Use this much memory and free it, except for a small block behind each large one."""
    held = [(LIBC.malloc(size), LIBC.malloc(1000)) for _ in range(blocks)]
    for large, _ in held:
        ctypes.memset(large, 1, size)
        LIBC.free(large)
    return [small for _, small in held]


def large_blocks_have_own_pages() -> None:
    # A block of any size goes where there is room, as long as there is.
    assert not any(flags_of(READ) & MAPPED for _ in range(100))
    assert any(flags_of(BUFFER) & MAPPED for _ in range(100))


def threads_use_the_same_heap() -> None:
    found: list[int] = []
    for _ in range(8):
        thread = threading.Thread(target=lambda: found.append(flags_of(READ)))
        thread.start()
        thread.join()
    assert len(found) == 8
    assert not any(flags & ELSEWHERE for flags in found)


def holes_are_given_back() -> None:
    free = FreeMemory()
    before = resident()
    leave_holes(100_000, 320)
    assert resident() > before + 28 * MIB
    free.give_back(idle=False)
    assert resident() < before + 4 * MIB


def memory_that_was_in_use_is_given_back() -> None:
    free = FreeMemory()
    before = resident()
    blocks = [(LIBC.malloc(100_000), LIBC.malloc(1000)) for _ in range(320)]
    for block, _ in blocks:
        ctypes.memset(block, 1, 100_000)
    free.give_back(idle=False)
    for block, _ in blocks:
        LIBC.free(block)
    assert resident() > before + 28 * MIB
    free.give_back(idle=False)
    assert resident() < before + 4 * MIB


def little_is_kept_until_nobody_is_there() -> None:
    free = FreeMemory()
    leave_holes(100_000, 30)
    before = resident()
    free.give_back(idle=False)
    assert resident() == before
    free.give_back(idle=True)
    assert resident() < before - 2 * MIB


def garbage_is_collected_when_all_have_left() -> None:
    class Cycle:
        def __init__(self) -> None:
            self.me = self

    gc.disable()
    free = FreeMemory()
    waiting = weakref.ref(Cycle())
    free.give_back(idle=False)
    assert waiting() is not None
    free.give_back(idle=True)
    assert waiting() is None
    waiting = weakref.ref(Cycle())
    free.give_back(idle=True)
    assert waiting() is not None, "once is enough: there was no traffic in between"


def a_buffer_takes_no_memory_that_it_does_not_use() -> None:
    uvloop.run(buffers_in_used_memory())


async def buffers_in_used_memory() -> None:
    made: list[asyncio.BaseTransport] = []

    class Accepted(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            made.append(transport)

    with tempfile.TemporaryDirectory() as folder:
        files = make_files(Path(folder))
        loop = asyncio.get_running_loop()
        context = server_context(ServerTLS(files.cert, files.key))
        server = await loop.create_server(Accepted, "127.0.0.1", 0, ssl=context)
        client = ssl.create_default_context(cafile=files.ca)
        used = [LIBC.malloc(READ) for _ in range(100)]
        LIBC.malloc(READ)  # what is before it stays free
        for block in used:
            ctypes.memset(block, 1, READ)
            LIBC.free(block)
        port = server.sockets[0].getsockname()[1]
        ends = [await asyncio.open_connection("127.0.0.1", port, ssl=client) for _ in range(20)]
        async with asyncio.timeout(20):
            while len(made) < 20:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        before = resident()
        for transport in made:
            discard_read_buffer(transport)
        assert resident() < before - 20 * BUFFER * 3 // 4
        for _, writer in ends:
            writer.close()


async def nothing_to_discard() -> None:
    """A cleartext connection has no such buffer."""
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0) as server:
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        discard_read_buffer(writer.transport)
        writer.close()


def cleartext_is_left_alone() -> None:
    uvloop.run(nothing_to_discard())
    asyncio.run(nothing_to_discard())


@pytest.mark.parametrize(
    "case",
    [
        large_blocks_have_own_pages,
        threads_use_the_same_heap,
        holes_are_given_back,
        memory_that_was_in_use_is_given_back,
        little_is_kept_until_nobody_is_there,
        garbage_is_collected_when_all_have_left,
        a_buffer_takes_no_memory_that_it_does_not_use,
        cleartext_is_left_alone,
    ],
)
def test_alone(case: Callable[[], None]) -> None:
    command = [sys.executable, "-m", __name__, case.__name__]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


if __name__ == "__main__":
    configure_allocator()
    globals()[sys.argv[1]]()
