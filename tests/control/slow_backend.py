"""A target that answers when it is told to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.control.waiting import until


class Backend:
    """Where it is, whether it was asked, and whether it may answer."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()


@asynccontextmanager
async def slow_backend() -> AsyncIterator[Backend]:
    """Run a target until the block ends; put the proxy in an inner block, so that it ends first."""
    handlers: set[asyncio.Task[None] | None] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.add(asyncio.current_task())
        try:
            while await reader.readline():
                await reader.readuntil(b"\r\n\r\n")
                backend.asked.set()
                await backend.may_answer.wait()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        except ConnectionError:
            pass
        finally:
            writer.close()
            handlers.discard(asyncio.current_task())

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    backend = Backend(server.sockets[0].getsockname()[1])
    async with server:
        yield backend
        # The proxy is gone by now, so that nobody is kept waiting.
        backend.may_answer.set()
        await until(lambda: not handlers)
