"""HTTP/1.1 as bytes on one socket: what was really sent and received, nothing smoothed over."""

import asyncio
import socket
import ssl
import struct
from dataclasses import dataclass

PATIENCE = 20.0
"""Seconds a test waits for something that is going to happen."""

Fields = list[tuple[str, str]]


class EndedError(Exception):
    """The peer closed its side before what was waited for was complete; `args[0]` is what came."""


@dataclass(frozen=True)
class Message:
    """A start line, its header fields and, once it was read, its body."""

    line: str
    fields: Fields
    body: bytes = b""

    @property
    def status(self) -> int:
        """A response's status code."""
        return int(self.line.split(" ")[1])

    @property
    def method(self) -> str:
        """A request's method."""
        return self.line.split(" ")[0]

    @property
    def path(self) -> str:
        """A request's target, query included."""
        return self.line.split(" ")[1]

    def all(self, name: str) -> list[str]:
        """Return every value of `name`, in the order received."""
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name: str) -> str | None:
        """Return the only value of `name`, or None; fail when there are several."""
        values = self.all(name)
        assert len(values) < 2, f"{name} came {len(values)} times"
        return values[0] if values else None

    @property
    def names(self) -> set[str]:
        """The names of the fields, in lower case."""
        return {key.lower() for key, _ in self.fields}


class Wire:
    """One end of a connection: a raw socket with a read buffer.

    Reading past the peer's end raises EndedError, a reset ConnectionResetError.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.socket = sock
        self.buffer = b""

    def __repr__(self) -> str:
        return f"<Wire {self.socket} with {self.buffer[:40]!r}>"

    # --- sending -----------------------------------------------------------------------------

    async def send(self, data: bytes) -> None:
        """Send all of `data`."""
        async with asyncio.timeout(PATIENCE):
            await asyncio.get_running_loop().sock_sendall(self.socket, data)

    def send_some(self, data: bytes) -> int:
        """Send what the kernel takes at once and return how many bytes that was."""
        try:
            return self.socket.send(data)
        except BlockingIOError:
            return 0

    def half_close(self) -> None:
        """Send the end of the stream; go on reading."""
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close the connection. Closing twice is fine."""
        self.socket.close()

    def reset(self) -> None:
        """Close the connection with a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    # --- receiving ---------------------------------------------------------------------------

    async def _receive(self, size: int) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self.socket, size)

    async def read(self, size: int = 65536) -> bytes:
        """Return the next bytes, at most `size`; b"" is the end of the stream."""
        if self.buffer:
            data, self.buffer = self.buffer[:size], self.buffer[size:]
            return data
        async with asyncio.timeout(PATIENCE):
            return await self._receive(size)

    async def _fill(self) -> None:
        async with asyncio.timeout(PATIENCE):
            data = await self._receive(65536)
        if not data:
            raise EndedError(self.buffer)
        self.buffer += data

    async def read_until(self, mark: bytes) -> bytes:
        """Return everything up to and with `mark`."""
        while mark not in self.buffer:
            await self._fill()
        end = self.buffer.index(mark) + len(mark)
        data, self.buffer = self.buffer[:end], self.buffer[end:]
        return data

    async def read_exactly(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        parts: list[bytes] = []
        missing = size
        while missing:
            part = await self.read(min(missing, 1 << 18))
            if not part:
                raise EndedError(b"".join(parts))
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    async def read_rest(self) -> bytes:
        """Return everything up to the end of the stream."""
        parts = []
        while data := await self.read(1 << 18):
            parts.append(data)
        return b"".join(parts)

    async def ending(self) -> str:
        """Wait until the peer is gone and return how: "end" or "reset"; no byte may come."""
        try:
            data = await self.read()
        except ConnectionError:
            return "reset"
        assert not data, f"more came: {data[:200]!r}"
        return "end"

    async def drain(self) -> str:
        """Read whatever comes until the peer is gone, and return how it went."""
        try:
            await self.read_rest()
        except ConnectionError:
            return "reset"
        return "end"

    # --- messages ----------------------------------------------------------------------------

    async def read_head(self) -> Message:
        """Return a message without its body."""
        raw = await self.read_until(b"\r\n\r\n")
        line, *rest = raw[:-4].decode("latin-1").split("\r\n")
        pairs = [item.partition(":") for item in rest]
        return Message(line, [(name, value.strip(" \t")) for name, _, value in pairs])

    async def read_chunk(self) -> bytes:
        """Return one chunk of a chunked body; b"" is its end."""
        size = int((await self.read_until(b"\r\n"))[:-2], 16)
        if size:
            data = await self.read_exactly(size)
            assert await self.read_exactly(2) == b"\r\n"
            return data
        assert await self.read_exactly(2) == b"\r\n", "there are trailers"
        return b""

    async def read_chunked(self) -> bytes:
        """Return a whole chunked body."""
        parts = []
        while chunk := await self.read_chunk():
            parts.append(chunk)
        return b"".join(parts)

    async def read_request(self) -> Message:
        """Return a whole request."""
        head = await self.read_head()
        return Message(head.line, head.fields, await self._read_framed(head))

    async def read_response(self, *, to: str = "GET") -> Message:
        """Return a whole response to a request with the method `to`; 1xx are responses too."""
        head = await self.read_head()
        bodiless = to == "HEAD" or head.status < 200 or head.status in (204, 304)
        if bodiless:
            return head
        if head.names.isdisjoint({"content-length", "transfer-encoding"}):
            return Message(head.line, head.fields, await self.read_rest())
        return Message(head.line, head.fields, await self._read_framed(head))

    async def _read_framed(self, head: Message) -> bytes:
        length, coding = head.get("content-length"), head.get("transfer-encoding")
        assert length is None or coding is None, "two framings in one message"
        if coding is not None:
            assert coding.lower() == "chunked"
            return await self.read_chunked()
        return await self.read_exactly(int(length or 0))


class TLSWire(Wire):
    """The same over TLS, by asyncio's own streams."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.buffer = b""

    def __repr__(self) -> str:
        return f"<TLSWire {self._writer}>"

    async def send(self, data: bytes) -> None:
        """Send all of `data`."""
        self._writer.write(data)
        async with asyncio.timeout(PATIENCE):
            await self._writer.drain()

    async def _receive(self, size: int) -> bytes:
        return await self._reader.read(size)

    @property
    def tls(self) -> ssl.SSLObject:
        """The state of TLS: certificates, protocols."""
        tls: ssl.SSLObject = self._writer.get_extra_info("ssl_object")
        return tls

    def close(self) -> None:
        """Close the connection. Closing twice is fine."""
        self._writer.close()

    def reset(self) -> None:
        """Close the connection at once."""
        self._writer.transport.abort()

    async def cut_off(self, *, reset: bool = False) -> None:
        """Send TCP's end, or a reset, without TLS's own end, after all that was sent."""
        async with asyncio.timeout(PATIENCE):
            while self._writer.transport.get_write_buffer_size():  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.005)
        fd = self._writer.get_extra_info("socket").fileno()
        with socket.fromfd(fd, socket.AF_INET, socket.SOCK_STREAM) as raw:
            if reset:
                Wire(raw).reset()
                self.reset()
            else:
                raw.shutdown(socket.SHUT_WR)


def chunked(*parts: bytes) -> bytes:
    """Return a whole chunked body with one chunk for each part."""
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def request(
    method: str, path: str, *lines: str, body: bytes | None = None, host: str = "hub"
) -> bytes:
    """Return a request; a body comes with its Content-Length."""
    length = [] if body is None else [f"Content-Length: {len(body)}"]
    head = [f"{method} {path} HTTP/1.1", f"Host: {host}", *lines, *length, "", ""]
    return "\r\n".join(head).encode("latin-1") + (body or b"")


def response(status: int, *lines: str, body: bytes | None = b"") -> bytes:
    """Return a response; a body other than None comes with its Content-Length."""
    length = [] if body is None else [f"Content-Length: {len(body)}"]
    head = [f"HTTP/1.1 {status} Reason", *lines, *length, "", ""]
    return "\r\n".join(head).encode("latin-1") + (body or b"")
