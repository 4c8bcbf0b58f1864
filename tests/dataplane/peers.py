"""The two sides of the data plane: a scripted target behind it, raw clients in front of it."""

import asyncio
import contextlib
import os
import socket
import ssl
import stat
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from hubgate.dataplane.plane import DataPlane
from hubgate.model import Route, RouteOptions, WorkerConfig
from hubgate.routing.table import RouteTable
from hubgate.tasks import spawn
from tests.dataplane.wire import PATIENCE, EndedError, Message, TLSWire, Wire, request, response

Script = Callable[[Wire], Awaitable[None]]
ANSWER = response(200, body=b"hello")


async def until(condition: Callable[[], Any], what: str) -> None:
    """Wait until `condition` holds; fail with `what` when it does not for too long."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - any condition, not only an event
            await asyncio.sleep(0.005)
    assert condition(), what


async def flood(wire: Wire, data: bytes, limit: int) -> int:
    """Send `data` over and over until nothing more is taken; return how much was.

    The data plane runs on the same loop, so each pause is a chance for it to read. Fails when
    `limit` bytes are taken.
    """
    sent = pauses = place = 0
    while pauses < 50:
        taken = wire.send_some(data[place:])
        place = (place + taken) % len(data)
        sent += taken
        assert sent < limit, "everything is taken"
        pauses = 0 if taken else pauses + 1
        await asyncio.sleep(0 if taken else 0.01)
    return sent


def listening(family: socket.AddressFamily, address: Any) -> socket.socket:
    """Return a non-blocking socket that listens on `address`."""
    sock = socket.socket(family)
    sock.setblocking(False)
    sock.bind(address)
    sock.listen(1024)
    return sock


def url_of(sock: socket.socket) -> str:
    """Return what a route names as its target to reach a socket that is bound to 127.0.0.1."""
    return f"http://127.0.0.1:{sock.getsockname()[1]}"


class Target:
    """An upstream on a real socket.

    Without a script, tests take its connections one by one with `accept`; with one, the script
    serves each of them. `accepted` counts connections.
    """

    def __init__(self, sock: socket.socket, script: Script | None, tls: ssl.SSLContext | None):
        self._listener = sock
        self._script = script
        self._tls = tls
        self._waiting: asyncio.Queue[Wire] = asyncio.Queue()
        self.wires: list[Wire] = []
        self.accepted = 0
        self.failures: list[BaseException] = []
        self._server: asyncio.Server | None = None
        self._task: asyncio.Task[None] | None = None
        self._serving: list[asyncio.Task[None]] = []

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        """What a route names as its target."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Begin to accept."""
        if self._tls is not None:
            self._server = await asyncio.start_server(
                lambda reader, writer: self._arrived(TLSWire(reader, writer)),
                sock=self._listener,
                ssl=self._tls,
            )
        else:
            self._task = spawn(self._accept(), "target accepts")

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            sock, _ = await loop.sock_accept(self._listener)
            self._arrived(Wire(sock))

    def _arrived(self, wire: Wire) -> None:
        self.accepted += 1
        self.wires.append(wire)
        if self._script is None:
            self._waiting.put_nowait(wire)
        else:
            self._serving.append(spawn(self._serve(wire, self._script), "target serves"))

    async def _serve(self, wire: Wire, script: Script) -> None:
        try:
            await script(wire)
        except (EndedError, ConnectionError):
            pass
        except Exception as error:
            self.failures.append(error)
        finally:
            wire.close()

    async def accept(self) -> Wire:
        """Return the next connection."""
        async with asyncio.timeout(PATIENCE):
            return await self._waiting.get()

    async def stop(self) -> None:
        """Close everything; fail with what went wrong in a script."""
        tasks = [task for task in (self._task, *self._serving) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._server is not None:
            self._server.close()
        self._listener.close()
        for wire in self.wires:
            wire.close()
        for failure in self.failures:
            raise failure


class Front:
    """A running DataPlane on a socket of its own, and clients for it."""

    def __init__(
        self, config: WorkerConfig, sock: socket.socket, redirect: Sequence[socket.socket] = ()
    ):
        self.config = config
        self.table = RouteTable(config.rules)
        self.plane = DataPlane(config, self.table)
        self._listener = sock
        self._redirect = list(redirect)
        self.clients: list[Wire] = []

    async def start(self) -> None:
        """Accept connections."""
        await self.plane.start([self._listener], self._redirect)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._listener.getsockname()[1])

    def route(self, key: str, target: str, **options: Any) -> None:
        """Put a route into the table."""
        self.table.apply([Route(key, target, options=RouteOptions(**options))], ())

    async def client(self, receive_buffer: int | None = None, address: str | None = None) -> Wire:
        """Return a new connection, from `address`.

        `receive_buffer` bounds what its kernel takes unread.
        """
        sock = socket.socket(self._listener.family)
        sock.setblocking(False)
        if address is not None:
            sock.bind((address, 0))
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        await asyncio.get_running_loop().sock_connect(sock, self._listener.getsockname())
        wire = Wire(sock)
        self.clients.append(wire)
        return wire

    async def tls_client(self, context: ssl.SSLContext) -> TLSWire:
        """Return a new connection over TLS."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=context, server_hostname="127.0.0.1"
        )
        wire = TLSWire(reader, writer)
        self.clients.append(wire)
        return wire

    async def ask(self, *args: Any, **named: Any) -> Message:
        """Send a request (see `wire.request`) on a connection of its own; return the answer."""
        wire = await self.client()
        await wire.send(request(*args, **named))
        answer = await wire.read_response(to=args[0])
        wire.close()
        return answer

    @property
    def open(self) -> int:
        """How many client connections and tunnels the data plane has."""
        return self.plane.report().connections

    async def stop(self) -> None:
        """Close everything."""
        for wire in self.clients:
            wire.close()
        await self.plane.drain(0)
        self._listener.close()
        for sock in self._redirect:
            sock.close()


def watch_of(front: Front) -> Any:
    """Return what any_time_limit the time limits of the only request."""
    (client,) = front.plane._listener.clients
    stream: Any = client._stream
    return stream._time_limits


async def hello(wire: Wire) -> None:
    """Answer every request with 200 and `hello`."""
    while True:
        await wire.read_request()
        await wire.send(response(200, body=b"hello"))


async def echo(wire: Wire) -> None:
    """Answer every request with its head and body."""
    while True:
        got = await wire.read_request()
        head = "\n".join([got.line, *(f"{name}: {value}" for name, value in got.fields)])
        await wire.send(response(200, body=head.encode("latin-1") + b"\n\n" + got.body))


def answering(*answers: bytes) -> Script:
    """Return a script that gives one answer after the other, then closes."""

    async def answer(wire: Wire) -> None:
        for data in answers:
            await wire.read_request()
            await wire.send(data)

    return answer


def open_files() -> int:
    """Return how many sockets and pipes this process has open."""
    count = 0
    for name in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError):
            mode = os.fstat(int(name)).st_mode
            count += stat.S_ISSOCK(mode) or stat.S_ISFIFO(mode)
    return count


async def exchange(
    front: Front, target: Target, sent: bytes, answer: bytes = ANSWER
) -> tuple[Message, Message]:
    """Send a request, let `target` give `answer`; return the request and the response seen."""
    client = await front.client()
    await client.send(sent)
    wire = await target.accept()
    seen = await wire.read_request()
    await wire.send(answer)
    got = await client.read_response(to=seen.method)
    client.close()
    return seen, got


async def unread_answer(front: Front, target: Target) -> tuple[Wire, Wire]:
    """Return a client that asked `/` and reads nothing, and the target that answers without end."""
    client = await front.client(receive_buffer=4096)
    await client.send(request("GET", "/"))
    wire = await target.accept()
    await wire.read_request()
    await wire.send(response(200, "Content-Length: 100000000", body=None))
    await flood(wire, bytes(1 << 16), 1 << 26)
    return client, wire
