"""Targets that answer, stream, echo, and now and then die and come back."""

import asyncio
import base64
import contextlib
import hashlib
import random

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
BLOCK = bytes(65536)
_LAST_CHUNK = b"0\r\n\r\n"


class Target:
    """Serves one port; `stop` breaks all that is open, `start` comes back on the same port."""

    def __init__(self) -> None:
        self.port = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def up(self) -> bool:
        """Whether it serves."""
        return self._server is not None

    async def start(self) -> None:
        """Listen, on the port it had before if it had one."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Die as a killed process does."""
        if self._server is not None:
            self._server.close()
            self._server = None
        # Those too that were accepted in the moment before, and have come since.
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while await self._answer(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        except (RuntimeError, asyncio.CancelledError):
            pass  # uvloop's word for a write after an abort; and the end of the run
        finally:
            self._writers.discard(writer)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        line, _, rest = head.partition(b"\r\n")
        fields = {
            name.strip().lower(): value.strip()
            for name, _, value in (each.partition(b":") for each in rest.split(b"\r\n"))
        }
        if key := fields.get(b"sec-websocket-key"):
            await self._echo(key, reader, writer)
            return False
        await _read_body(fields, reader)
        await _respond(line.split(b" ")[1], writer)
        return True

    async def _echo(
        self, key: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


async def _read_body(fields: dict[bytes, bytes], reader: asyncio.StreamReader) -> None:
    left = int(fields.get(b"content-length", 0))
    while left:
        left -= len(await reader.readexactly(min(left, len(BLOCK))))
    end = b"" if b"transfer-encoding" in fields else _LAST_CHUNK
    while end != _LAST_CHUNK:
        data = await reader.read(len(BLOCK))
        if not data:
            raise asyncio.IncompleteReadError(end, None)
        end = (end + data)[-len(_LAST_CHUNK) :]


async def _flood(writer: asyncio.StreamWriter, piece: bytes) -> None:
    """Write about a megabyte of the same small piece."""
    data = piece * (len(BLOCK) // len(piece))
    for _ in range(16):
        writer.write(data)
        await writer.drain()


async def _respond(path: bytes, writer: asyncio.StreamWriter) -> None:
    if path.endswith(b"/stream"):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(random.randrange(1, 8)):
            writer.write(b"5\r\nevent\r\n")
            await writer.drain()
            await asyncio.sleep(0.02)
        writer.write(b"0\r\n\r\n")
    elif path.endswith(b"/crumbs"):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        await _flood(writer, b"1\r\nx\r\n")
        writer.write(_LAST_CHUNK)
    elif path.endswith(b"/hints"):
        await _flood(writer, b"HTTP/1.1 103 Early Hints\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    elif path.endswith((b"/big", b"/huge")):
        size = 64 if path.endswith(b"/big") else 128
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (size * len(BLOCK)))
        for _ in range(size):
            writer.write(BLOCK)
            await writer.drain()
    else:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
    await writer.drain()
