"""Load on websockets: round trips as fast as they go, or tunnels that just stay open."""

import asyncio
import resource
import sys

import uvloop

_REQUEST = (
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def frame(size: int) -> bytes:
    """Return a masked binary frame whose mask is zero, with `size` bytes in it."""
    if size < 126:
        head = bytes([0x82, 0x80 | size])
    elif size < 65536:
        head = bytes([0x82, 0x80 | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([0x82, 0x80 | 127]) + size.to_bytes(8, "big")
    return head + bytes(4) + bytes(size)


class Client(asyncio.Protocol):
    """Opens a tunnel, then sends `message` again each time all of its echo is back."""

    def __init__(self, message: bytes) -> None:
        self.message = message
        self.echo = len(message) - 4  # what comes back is not masked
        self.trips = 0
        self.got = 0
        self.opened = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.transport.write(_REQUEST)

    def data_received(self, data: bytes) -> None:
        if not self.opened.done():
            if b" 101 " not in data[:20]:
                raise RuntimeError(f"no tunnel: {data[:80]!r}")
            self.opened.set_result(None)
            return
        self.got += len(data)
        if self.got >= self.echo:
            self.got = 0
            self.trips += 1
            self.transport.write(self.message)


async def _main(port: int, count: int, size: int, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    clients = []
    for _ in range(count):
        _, client = await loop.create_connection(lambda: Client(frame(size)), "127.0.0.1", port)
        await client.opened
        clients.append(client)
    print("open", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    if seconds:
        for client in clients:
            client.transport.write(client.message)
        await asyncio.sleep(seconds)
    print(sum(client.trips for client in clients), flush=True)


if __name__ == "__main__":
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvloop.run(_main(*(int(value) for value in sys.argv[1:4]), float(sys.argv[4])))
