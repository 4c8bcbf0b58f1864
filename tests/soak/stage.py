"""What everybody in a soak shares, and how they speak HTTP."""

import asyncio
import random
import socket
import ssl
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.soak.targets import BLOCK, Target
from tests.system.served import Served

UPGRADE = (
    b"GET %b HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
GET = b"GET %b HTTP/1.1\r\nHost: hub\r\n\r\n"
GONE = (OSError, asyncio.IncompleteReadError)
PUBLIC = "public"
"""The name of the port that serves the routes."""


@dataclass
class Stage:
    """What the actors share. `steady` targets never die: whatever fails there is a fault.

    `ports` are those of the proxy that is `served`, by name. While it is `calm`, attackers rest.
    """

    ports: Mapping[str, int]
    tls: ssl.SSLContext | None
    steady: list[Target]
    shaky: list[Target]
    done: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    calm: bool = True
    served: Served | None = None

    def __str__(self) -> str:
        return "TLS" if self.tls else "plain"

    def path(self, tail: str, shaky: bool = False) -> bytes:
        """Return a path to some target."""
        kind, count = ("shaky", len(self.shaky)) if shaky else ("steady", len(self.steady))
        return f"/{kind}/{random.randrange(count)}/{tail}".encode()

    async def call(self, method: str, path: str, data: dict[str, object] | None = None) -> int:
        """Call the proxy's API; return the status."""
        assert self.served is not None
        return await asyncio.to_thread(self.served.call, method, path, data)

    async def connect(
        self, receive_buffer: int | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection to the proxy.

        `receive_buffer` bounds what the kernel takes that nobody reads, in bytes.
        """
        sock = await self.connect_raw(PUBLIC, receive_buffer)
        name = "127.0.0.1" if self.tls else None
        return await asyncio.open_connection(sock=sock, ssl=self.tls, server_hostname=name)

    async def connect_raw(self, port: str, receive_buffer: int | None = None) -> socket.socket:
        """Open a connection to one of the proxy's ports, without TLS."""
        sock = socket.socket()
        sock.setblocking(False)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            address = ("127.0.0.1", self.ports[port])
            await asyncio.get_running_loop().sock_connect(sock, address)
        except BaseException:
            sock.close()
            raise
        return sock

    def fault(self, what: str) -> None:
        """Note what must not have happened."""
        if len(self.faults) < 50:
            self.faults.append(what)


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, int]:
    """Return the status and the body's size of one response."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    size = 0
    if b"transfer-encoding: chunked" in head:
        while chunk := int(await reader.readuntil(b"\n"), 16):
            size += len(await reader.readexactly(chunk + 2)) - 2
        await reader.readline()
    elif b"content-length: " in head:
        left = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        size = left
        while left:
            left -= len(await reader.readexactly(min(left, len(BLOCK))))
    return int(head.split(b" ")[1]), size
