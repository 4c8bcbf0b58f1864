"""Clients that keep asking, and what went wrong for any of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiohttp
from aiohttp import web

from hubgate.tasks import spawn

PATIENCE = 60.0


@asynccontextmanager
async def echo_target() -> AsyncIterator[str]:
    """A target that answers every GET by its path, and websockets by their messages."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return web.Response(text=request.path)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data)
        return socket

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class Connection:
    """A connection that is used for one request after the other, and never retries."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.last = False

    @classmethod
    async def open(cls, port: int) -> "Connection":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def get(self, path: str, *, close: bool = False) -> tuple[int, bytes]:
        """Ask; afterwards `last` says whether the server will close."""
        asked = "Connection: close\r\n" if close else ""
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: hub\r\n{asked}\r\n".encode())
        async with asyncio.timeout(PATIENCE):
            head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            body = await self._reader.readexactly(length)
        self.last = b"connection: close" in head
        return int(head.split()[1]), body

    def close(self) -> None:
        self._writer.close()


class Load:
    """Clients with and without keep-alive; `failures` has a line for whatever went wrong."""

    def __init__(self, port: int) -> None:
        self.failures: list[str] = []
        self.answered = 0
        self._port = port
        self._ending = False
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, clients: int = 3) -> None:
        """Begin with that many clients of each kind."""
        for number in range(clients):
            self._tasks.append(spawn(self._client(f"/user/{number}/a", False), "client"))
            self._tasks.append(spawn(self._client(f"/user/{number}/b", True), "client"))

    async def stop(self) -> None:
        """End all clients after their present request."""
        self._ending = True
        await asyncio.wait(self._tasks)

    async def more(self, count: int = 50) -> None:
        """Wait until that many more requests are answered."""
        goal = self.answered + count
        async with asyncio.timeout(PATIENCE):
            while self.answered < goal and not self.failures:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def _client(self, path: str, keep: bool) -> None:
        connection = None
        while not self._ending:
            try:
                connection = connection or await Connection.open(self._port)
                answer = await connection.get(path, close=not keep)
                if answer != (200, path.encode()):
                    self.failures.append(f"{path}: {answer}")
                self.answered += 1
            except (OSError, EOFError) as error:
                kind = "kept alive" if keep else "new"
                self.failures.append(f"{path} on a connection that was {kind}: {error!r}")
                connection = None
            if connection is not None and (connection.last or not keep):
                connection.close()
                connection = None
            await asyncio.sleep(0.005)
        if connection is not None:
            connection.close()


class Tunnels:
    """Websockets that exchange messages all the time; `broken` has those that ended.

    `pause` is what each waits between two messages, in seconds.
    """

    def __init__(self, pause: float = 0.2) -> None:
        self.pause = pause
        self.broken: list[int | None] = []
        self.messages: list[int] = []
        self._session: aiohttp.ClientSession | None = None
        self._sockets: list[aiohttp.ClientWebSocketResponse] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, port: int, count: int) -> None:
        """Open that many more."""
        connector = aiohttp.TCPConnector(limit=0)
        self._session = self._session or aiohttp.ClientSession(connector=connector)
        for _ in range(count):
            socket = await self._session.ws_connect(f"http://127.0.0.1:{port}/user/ws")
            self._sockets.append(socket)
            self.messages.append(0)
            self._tasks.append(spawn(self._talk(socket, len(self.messages) - 1), "tunnel"))

    async def more(self, count: int = 2) -> None:
        """Wait until every tunnel has passed that many more messages both ways."""
        goals = [done + count for done in self.messages]
        async with asyncio.timeout(PATIENCE):
            while not self.broken and any(  # noqa: ASYNC110
                done < goal for done, goal in zip(self.messages, goals, strict=True)
            ):
                await asyncio.sleep(0.05)

    async def ended(self) -> list[int | None]:
        """Wait until all have ended; return the codes they were closed with."""
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait(self._tasks)
        return self.broken

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        with suppress(OSError):
            for socket in self._sockets:
                await socket.close()
        if self._session is not None:
            await self._session.close()

    async def _talk(self, socket: aiohttp.ClientWebSocketResponse, number: int) -> None:
        while True:
            text = f"{number} {self.messages[number]}"
            with suppress(OSError):  # then what has come before tells why
                await socket.send_str(text)
            answer = await socket.receive(PATIENCE)
            if answer.data != text:
                said = answer.type is aiohttp.WSMsgType.CLOSE
                self.broken.append(answer.data if said else None)
                return
            self.messages[number] += 1
            await asyncio.sleep(self.pause)
