"""wrk: what it asks, and what it says went wrong."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

WRK = shutil.which("wrk")
_REQUESTS = re.compile(r"^ +(\d+) requests in ", re.MULTILINE)
_WRONG = re.compile(r"^ +(?:Socket errors|Non-2xx or 3xx responses): .*", re.MULTILINE)


class Page(asyncio.Protocol):
    """A target that has one short answer to every GET, and costs next to nothing."""

    def __init__(self) -> None:
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        heads = (self._rest + data).split(b"\r\n\r\n")
        self._rest = heads.pop()
        assert isinstance(self._transport, asyncio.Transport)
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello" * len(heads))


@asynccontextmanager
async def page_target() -> AsyncIterator[str]:
    """Serve `Page`; yield its URL."""
    server = await asyncio.get_running_loop().create_server(Page, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def wrk(url: str, seconds: int, connections: int = 32) -> tuple[int, list[str]]:
    """Ask for `url` all the time; return how many answers came and what wrk says of errors."""
    assert WRK is not None
    # Being slow is no failure here: a request may wait for 30 s.
    flags = ("-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s")
    process = await asyncio.create_subprocess_exec(
        WRK, *flags, url, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        output = (await asyncio.wait_for(process.communicate(), seconds + 60))[0].decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    found = _REQUESTS.search(output)
    assert process.returncode == 0, output
    assert found, output
    return int(found[1]), [line.strip() for line in _WRONG.findall(output)]
