"""Load on websockets: `tunnels.py PORT COUNT SIZE`, round trips as fast as possible.

Prints `open` when all are open. For each line on stdin, a number of seconds, it runs them for
that long and prints how many round trips they made; it exits when stdin closes.
"""

import asyncio
import sys

import uvloop

_REQUEST = (
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def frame(size: int) -> bytes:
    """Return a binary frame of `size` bytes, masked with zeros."""
    if size < 126:
        head = bytes([0x82, 0x80 | size])
    elif size < 65536:
        head = bytes([0x82, 0x80 | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([0x82, 0x80 | 127]) + size.to_bytes(8, "big")
    return head + bytes(4) + bytes(size)


class Client(asyncio.Protocol):
    """Opens a tunnel; while it runs, sends `message` again whenever the whole echo has arrived."""

    def __init__(self, message: bytes) -> None:
        self.message = message
        self.echo = len(message) - 4  # the echo is not masked
        self.runs = False
        self.trips = 0
        self.got = 0
        self.opened = asyncio.get_running_loop().create_future()
        self.back = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.transport.write(_REQUEST)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(RuntimeError("no tunnel: the connection was closed"))

    def data_received(self, data: bytes) -> None:
        if not self.opened.done():
            if b" 101 " in data[:20]:
                self.opened.set_result(None)
            else:
                self.opened.set_exception(RuntimeError(f"no tunnel: {data[:80]!r}"))
            return
        self.got += len(data)
        if self.got >= self.echo:
            self.got = 0
            self.trips += 1
            if self.runs:
                self.transport.write(self.message)
            else:
                self.back.set()

    def start(self) -> None:
        """Start sending."""
        self.runs, self.trips = True, 0
        self.back.clear()
        self.transport.write(self.message)

    async def stop(self) -> int:
        """Stop sending; return the number of round trips once the last echo has arrived."""
        self.runs = False
        await self.back.wait()
        return self.trips


async def _run(clients: list[Client], seconds: float) -> int:
    for client in clients:
        client.start()
    await asyncio.sleep(seconds)
    async with asyncio.timeout(10):
        return sum(await asyncio.gather(*(client.stop() for client in clients)))


async def _main(port: int, count: int, size: int) -> None:
    loop = asyncio.get_running_loop()
    clients = []
    for _ in range(count):
        _, client = await loop.create_connection(lambda: Client(frame(size)), "127.0.0.1", port)
        await asyncio.wait_for(client.opened, 10)
        clients.append(client)
    print("open", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(await _run(clients, float(line)), flush=True)


if __name__ == "__main__":
    uvloop.run(_main(*(int(value) for value in sys.argv[1:4])))
