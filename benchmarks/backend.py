"""The backend behind every contender: pages, uploads and websockets, one target for every row."""

import asyncio
import base64
import hashlib
import itertools
import resource
import sys

import uvloop

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
SMALL = b"hello world\n" * 10
PAGE = bytes(range(256)) * 256
_BLOCK = bytes(1 << 20)
_numbers = itertools.count()


class Backend(asyncio.Protocol):
    """Serves `/small`, `/page`, `/big?BYTES`, `/unlike/…` and uploads, echoes a websocket's bytes.

    Reads only as much of a request as these need: the benchmark measures the proxy in front.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.buffer = b""
        self.body = 0
        self.tunnel = False
        self.left = 0

    def data_received(self, data: bytes) -> None:
        if self.tunnel:
            self.transport.write(_unmasked(data))
        elif self.body:
            self._take(data)
        else:
            self.buffer += data
            while not self.body and (end := self.buffer.find(b"\r\n\r\n")) >= 0:
                head, self.buffer = self.buffer[:end], self.buffer[end + 4 :]
                self._answer(head)

    def _take(self, data: bytes) -> None:
        self.body -= len(data)
        if self.body <= 0:
            self.body = 0
            self._send(b"ok")

    def _answer(self, head: bytes) -> None:
        line, _, rest = head.partition(b"\r\n")
        path = line.split(b" ")[1]
        fields = {
            name.strip().lower(): value.strip()
            for name, _, value in (field.partition(b":") for field in rest.split(b"\r\n"))
        }
        if key := fields.get(b"sec-websocket-key"):
            self._switch(key)
        elif length := int(fields.get(b"content-length", 0)):
            self.body = length
            early, self.buffer = self.buffer, b""
            if early:
                self._take(early)
        elif path.startswith(b"/big?"):
            self.left = int(path[5:])
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % self.left)
            self.resume_writing()
        elif b"/unlike/" in path:
            self._send(SMALL, _unlike())
        else:
            self._send(PAGE if path.endswith(b"/page") else SMALL)

    def _send(self, body: bytes, more: bytes = b"") -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n%bContent-Length: %d\r\n\r\n"
        self.transport.write(head % (more, len(body)) + body)

    def _switch(self, key: bytes) -> None:
        accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
        self.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        self.tunnel = True

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        while self.left and not self.paused:
            size = min(self.left, len(_BLOCK))
            self.left -= size
            self.transport.write(_BLOCK if size == len(_BLOCK) else _BLOCK[:size])


def _unlike() -> bytes:
    """Return header lines that no other response has."""
    number = next(_numbers)
    return b'ETag: "%x"\r\nX-Request-ID: 0123456789abcdef-%d\r\n' % (number, number)


def _unmasked(data: bytes) -> bytes:
    """Return a client's frames as a server's: the load masks with zeros, so only the head differs.

    A chunk that begins inside a frame is returned unchanged.
    """
    if len(data) < 2 or data[0] != 0x82 or not data[1] & 0x80:
        return data
    length = data[1] & 0x7F
    size = 2 + (2 if length == 126 else 8 if length == 127 else 0)
    return bytes([data[0], length]) + data[2:size] + data[size + 4 :]


async def _main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(
        Backend, "127.0.0.1", port, backlog=4096
    )
    await server.serve_forever()


if __name__ == "__main__":
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvloop.run(_main(int(sys.argv[1])))
