"""`bystander.py PORT SCHEME PATH TOKEN`: an honest client, which suffers from the attackers.

Every 10 ms it begins a small GET, in turn on a kept-alive connection and on a new one, whether the
earlier ones were answered or not: a proxy that stalls cannot hide behind requests that were never
sent. Prints `ready` after a first response; for a line on stdin, a number of seconds, it measures
for that long and prints one line of JSON; it exits when stdin closes.
"""

import asyncio
import json
import ssl
import sys
import time
from contextlib import suppress

import uvloop

from benchmarks.strangers.attackers import blind_tls

EVERY = 0.01
# A page, or a redirect to one.
_GOOD = (b"HTTP/1.1 200 ", b"HTTP/1.1 301 ", b"HTTP/1.1 302 ")


class Visit(asyncio.Protocol):
    """A connection that makes one request at a time."""

    def __init__(self) -> None:
        self._got = b""
        self._done: asyncio.Future[bool] | None = None
        self.alive = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]

    def ask(self, request: bytes) -> asyncio.Future[bool]:
        """Send a request; the result is whether it was answered as it should be."""
        self._got = b""
        self._done = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self._done

    def data_received(self, data: bytes) -> None:
        self._got += data
        if self._done and not self._done.done() and complete(self._got):
            self._done.set_result(self._got.startswith(_GOOD))

    def connection_lost(self, exc: Exception | None) -> None:
        self.alive = False
        if self._done and not self._done.done():
            self._done.set_result(False)


def complete(data: bytes) -> bool:
    """Return whether these are a whole response with a Content-Length or with chunks."""
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        return False
    _, found, rest = head.lower().partition(b"content-length:")
    if found:
        return len(body) >= int(rest.partition(b"\r\n")[0])
    return body.endswith(b"0\r\n\r\n")


class Bystander:
    """Makes the requests and keeps the times."""

    def __init__(self, port: int, tls: ssl.SSLContext | None, request: bytes) -> None:
        self._port = port
        self._tls = tls
        self._request = request
        self._kept: list[Visit] = []
        self._begin()

    def _begin(self) -> None:
        self._times: list[float] = []
        self._open: dict[asyncio.Task[None], float] = {}
        self._failed = 0

    async def visit(self, kept: bool) -> None:
        """Make a request on a kept connection if one is idle, or on a new one."""
        begun = time.perf_counter()
        connection = None
        while kept and self._kept and not (connection and connection.alive):
            connection = self._kept.pop()
        try:
            if connection is None or not connection.alive:
                connection = await self._connect()
            good = await connection.ask(self._request)
        except OSError:
            good = False
        if good:
            self._times.append(time.perf_counter() - begun)
        else:
            self._failed += 1
        if connection is not None:
            if kept and good:
                self._kept.append(connection)
            else:
                connection.transport.abort()

    async def _connect(self) -> Visit:
        _, visit = await asyncio.get_running_loop().create_connection(
            Visit, "127.0.0.1", self._port, ssl=self._tls
        )
        return visit

    async def measure(self, seconds: float) -> dict[str, object]:
        """Return times in seconds, of what is unanswered at the end the time so far."""
        self._begin()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for number in range(round(seconds / EVERY)):
            await asyncio.sleep(begun + number * EVERY - loop.time())
            task = loop.create_task(self.visit(kept=number % 2 == 0))
            self._open[task] = time.perf_counter()
            task.add_done_callback(lambda done: self._open.pop(done, None))
        await asyncio.sleep(EVERY)
        now = time.perf_counter()
        waiting = [now - since for since in self._open.values()]
        for task in list(self._open):
            task.cancel()
        return {"times": self._times, "waiting": waiting, "failed": self._failed}


async def _main(port: int, scheme: str, path: str, token: str) -> None:
    line = f"Authorization: token {token}\r\n" if token else ""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{line}\r\n".encode()
    bystander = Bystander(port, blind_tls() if scheme == "https" else None, request)
    for _ in range(50):
        await bystander.visit(kept=True)
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(await bystander.measure(float(line))), flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        uvloop.run(_main(int(sys.argv[1]), *sys.argv[2:4], *(sys.argv[4:] or [""])))
