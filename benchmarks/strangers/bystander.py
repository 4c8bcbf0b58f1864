"""`bystander.py PORT SCHEME PATH TOKEN`: an honest client, which suffers from the attackers.

Every 10 ms it begins a small GET, in turn on a kept-alive connection and on a new one, whether the
earlier ones were answered or not: a proxy that stalls cannot hide behind requests that were never
sent. Prints `ready` after a first response; for a line on stdin, a number of seconds, it measures
for that long and prints one line of JSON. For `settle` it waits until a request is answered at once
again, at most three seconds, and prints `settled`. It exits when stdin closes.
"""

import asyncio
import json
import ssl
import sys
import time
from collections import Counter
from contextlib import suppress

import uvloop

from benchmarks.strangers.attackers import blind_tls

EVERY = 0.01
SETTLING, AT_ONCE = 3.0, 0.02
# A page, or a redirect to one.
_GOOD = (b"HTTP/1.1 200 ", b"HTTP/1.1 301 ", b"HTTP/1.1 302 ")


class Visit(asyncio.Protocol):
    """A connection that makes one request at a time."""

    def __init__(self) -> None:
        self._got = b""
        self._done: asyncio.Future[str] | None = None
        self.alive = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]

    def ask(self, request: bytes) -> asyncio.Future[str]:
        """Send a request; the result is empty if it was answered as it should be, or says how."""
        self._got = b""
        self._done = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self._done

    def data_received(self, data: bytes) -> None:
        self._got += data
        if self._done and not self._done.done() and complete(self._got):
            good = self._got.startswith(_GOOD)
            self._done.set_result("" if good else self._got[9:12].decode(errors="replace"))

    def connection_lost(self, exc: Exception | None) -> None:
        self.alive = False
        if self._done and not self._done.done():
            self._done.set_result("closed")


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
        self._failed: Counter[str] = Counter()

    async def visit(self, kept: bool) -> None:
        """Make a request on a kept connection if one is idle, or on a new one."""
        begun = time.perf_counter()
        connection, failed = None, "unanswered"
        while kept and self._kept and not (connection and connection.alive):
            connection = self._kept.pop()
        try:
            if connection is None or not connection.alive:
                connection = await self._connect()
            failed = await connection.ask(self._request)
        except OSError as error:
            failed = type(error).__name__
        finally:
            if connection is not None:
                if kept and not failed:
                    self._kept.append(connection)
                else:
                    connection.transport.abort()
        if failed:
            self._failed[failed] += 1
        else:
            self._times.append(time.perf_counter() - begun)

    async def settle(self) -> None:
        """Return once the proxy has forgotten an attack, or when that takes too long."""
        end = time.perf_counter() + SETTLING
        while (now := time.perf_counter()) < end:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.visit(kept=False), end - now)
            if time.perf_counter() - now < AT_ONCE:
                return

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
        unanswered = list(self._open)
        for task in unanswered:
            task.cancel()
        await asyncio.gather(*unanswered, return_exceptions=True)
        return {"times": self._times, "waiting": waiting, "failed": self._failed}


async def _main(port: int, scheme: str, path: str, token: str) -> None:
    line = f"Authorization: token {token}\r\n" if token else ""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{line}\r\n".encode()
    bystander = Bystander(port, blind_tls() if scheme == "https" else None, request)
    for _ in range(50):
        await bystander.visit(kept=True)
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        if line == "settle\n":
            await bystander.settle()
            print("settled", flush=True)
        else:
            print(json.dumps(await bystander.measure(float(line))), flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        uvloop.run(_main(int(sys.argv[1]), *sys.argv[2:4], *(sys.argv[4:] or [""])))
