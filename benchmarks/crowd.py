"""Many clients that stay connected: `crowd.py PORT KIND COUNT [KIND COUNT…]`.

Kinds: `tunnel` (an idle websocket), `kept` (a kept-alive connection after one response), `head`
(a byte of a request's head every three seconds, again and again; 200 of them connect per second,
so that a proxy drops a few at a time and not all at once), `reader` (reads 1 KiB of a long
response twenty times a second). Prints `open COUNT…` when they are open; after a line on stdin,
prints how many are still open, and exits.
"""

import asyncio
import itertools
import resource
import socket
import sys
from contextlib import suppress

import uvloop

AT_ONCE = 50
OPEN_LIMIT = 10.0
HEAD_PAUSE = 3.0
HEADS_PER_SECOND = 200
SIP_PAUSE = 0.05
ROUTES = 10
_numbers = itertools.count()


class Member(asyncio.Protocol):
    """One connection: sends `request`, and counts as open once `sign` has been received."""

    sign = b""
    per_second = 0

    def __init__(self) -> None:
        self.here = False
        self.got = b""
        self.opened = asyncio.get_running_loop().create_future()

    def request(self) -> bytes:
        """Return what to send on connecting."""
        return b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.transport.write(self.request())
        if not self.sign:
            self._arrived()

    def data_received(self, data: bytes) -> None:
        if not self.here:
            self.got += data
            if self.sign in self.got:
                self.got = b""
                self._arrived()

    def connection_lost(self, exc: Exception | None) -> None:
        self.here = False
        if not self.opened.done():
            self.opened.set_result(None)

    def _arrived(self) -> None:
        self.here = True
        self.opened.set_result(None)


class Tunnel(Member):
    """An idle websocket; they are spread over a few routes, as with real users."""

    sign = b" 101 "

    def request(self) -> bytes:
        return (
            b"GET /user/somebody-%d/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n"
            b"Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Version: 13\r\n\r\n" % (next(_numbers) % ROUTES)
        )


class Kept(Member):
    """A connection that has had one response and is kept alive."""

    sign = b"hello world\n" * 10

    def request(self) -> bytes:
        return b"GET /small HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class SlowHead(Member):
    """A request's head, a byte at a time; it reconnects when the proxy closes the connection."""

    per_second = HEADS_PER_SECOND

    def request(self) -> bytes:
        # Spread them out in time.
        first = HEAD_PAUSE * (next(_numbers) % 1000) / 1000
        self._next = asyncio.get_running_loop().call_later(first, self._send)
        return b"GET /small HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "

    def _send(self) -> None:
        self.transport.write(b"x")
        self._next = asyncio.get_running_loop().call_later(HEAD_PAUSE, self._send)

    def connection_lost(self, exc: Exception | None) -> None:
        self.here = False
        self._next.cancel()
        self._again = asyncio.get_running_loop().create_task(self._renew())

    async def _renew(self) -> None:
        with suppress(OSError):
            await asyncio.get_running_loop().create_connection(lambda: self, *_place)

    def _arrived(self) -> None:
        self.here = True
        if not self.opened.done():
            self.opened.set_result(None)


class Reader:
    """Reads a long response slowly, through a small buffer."""

    def __init__(self) -> None:
        self._sock = socket.socket()
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._sock.connect(_place)
        self._sock.sendall(b"GET /big?104857600 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        self._sock.setblocking(False)
        self.here = True
        self._sip()

    def _sip(self) -> None:
        with suppress(BlockingIOError):
            try:
                self.here = bool(self._sock.recv(1024))
            except ConnectionError:
                self.here = False
        if self.here:
            asyncio.get_running_loop().call_later(SIP_PAUSE, self._sip)


KINDS: dict[str, type[Member]] = {"tunnel": Tunnel, "kept": Kept, "head": SlowHead}
_place = ("127.0.0.1", 0)


async def _open(kind: str, count: int) -> list[Member] | list[Reader]:
    if kind == "reader":
        return [Reader() for _ in range(count)]
    turns = asyncio.Semaphore(AT_ONCE)

    async def come(number: int) -> Member:
        member = KINDS[kind]()
        if member.per_second:
            await asyncio.sleep(number / member.per_second)
        async with turns:
            with suppress(OSError):  # includes TimeoutError
                async with asyncio.timeout(OPEN_LIMIT):
                    await asyncio.get_running_loop().create_connection(lambda: member, *_place)
                    await member.opened
        return member

    return list(await asyncio.gather(*(come(number) for number in range(count))))


async def _main(wanted: list[tuple[str, int]]) -> None:
    crowds = [await _open(kind, count) for kind, count in wanted]
    print("open", *(_here(crowd) for crowd in crowds), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    print("open", *(_here(crowd) for crowd in crowds), flush=True)


def _here(crowd: list[Member] | list[Reader]) -> int:
    return sum(each.here for each in crowd)


if __name__ == "__main__":
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    _place = ("127.0.0.1", int(sys.argv[1]))
    pairs = zip(sys.argv[2::2], sys.argv[3::2], strict=True)
    uvloop.run(_main([(kind, int(count)) for kind, count in pairs]))
