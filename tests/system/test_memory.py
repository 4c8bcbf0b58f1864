"""A worker is as small after its clients have left as it was before they came."""

import asyncio
import ssl
from pathlib import Path

import pytest

from tests.certificates.made import make_files
from tests.contract.polling import eventually
from tests.soak.stage import read_answer
from tests.soak.targets import BLOCK, Target
from tests.system.served import serving

UPLOAD = b"POST /x/up HTTP/1.1\r\nHost: hub\r\nContent-Length: %d\r\n\r\n" % (16 * len(BLOCK))
CLIENTS, AT_ONCE = 150, 10
# What a worker may keep for its next clients, in bytes; each of those here costs it 550 KiB.
KEPT = 8 << 20


async def upload(port: int, tls: ssl.SSLContext) -> asyncio.StreamWriter:
    """Send 1 MiB, and keep the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    writer.write(UPLOAD)
    for _ in range(16):
        writer.write(BLOCK)
        await writer.drain()
    assert (await read_answer(reader))[0] == 200
    return writer


@pytest.mark.processes
async def test_what_tls_connections_held_goes_back_to_the_system(tmp_path: Path) -> None:
    files = make_files(tmp_path)
    tls = ssl.create_default_context(cafile=files.ca)
    flags = ("--host", "127.0.0.1", "--tls-cert", files.cert, "--tls-key", files.key)
    target = Target()
    await target.start()
    with serving(tmp_path, *flags) as served:
        await asyncio.to_thread(served.add, "/x", f"http://127.0.0.1:{target.port}")
        before = served.resident
        writers: list[asyncio.StreamWriter] = []
        for _ in range(CLIENTS // AT_ONCE):
            writers += await asyncio.gather(*(upload(served.port, tls) for _ in range(AT_ONCE)))
        assert served.resident > before + 2 * KEPT
        for writer in writers:
            writer.transport.abort()
        await target.stop()

        left = await asyncio.to_thread(eventually, lambda: served.resident < before + KEPT, 60)
        assert left, f"{served.resident - before} bytes are kept"
