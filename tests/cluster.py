"""Several whole hubgates that share a table: started, frozen, killed, and asked."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import psutil

from tests.contract.ports import free_ports
from tests.environment import clean_environment
from tests.processes import kill, lives
from tests.redis_server import Place

PROXYCTL = str(Path(sys.executable).with_name("proxyctl"))
PATIENCE = 30.0
"""Seconds until something counts as never to happen, however busy the machine is."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the API answered: the status, who was said to be missing, the body, and how long."""

    status: int
    missing: tuple[str, ...] = ()
    body: bytes = b""
    seconds: float = 0.0


@dataclass
class Replica:
    """One `proxyctl serve` in a folder of its own; it keeps its ports when it is started again."""

    name: str
    folder: Path
    store: str
    token: str
    settings: dict[str, object] = field(default_factory=dict)
    host: str = "127.0.0.1"
    place: Place = nullcontext
    client: Place = nullcontext
    environment: dict[str, str] = field(default_factory=dict)
    ports: tuple[int, int] = field(default_factory=free_ports)
    process: psutil.Popen | None = None

    @property
    def port(self) -> int:
        """Its public port."""
        return self.ports[0]

    @property
    def api_port(self) -> int:
        """Its API's port."""
        return self.ports[1]

    @property
    def log(self) -> str:
        """What it has said, in all its lives."""
        return (self.folder / "serve.log").read_text()

    def start(self) -> None:
        """Start it; it does not serve yet."""
        self.folder.mkdir(parents=True, exist_ok=True)
        replicas = {"name": self.name, "wait": 1, "lease": 2, "settle": 1}
        routes = {
            "listen": {"host": self.host, "port": self.port, "no_ssl": True},
            "store": self.store,
            "workers": 1,
            **self.settings,
            "api": {
                "host": self.host,
                "port": self.api_port,
                **self.settings.get("api", {}),  # type: ignore[dict-item]
            },
            "replicas": {**replicas, **self.settings.get("replicas", {})},  # type: ignore[dict-item]
        }
        (self.folder / "routes.yaml").write_text(json.dumps(routes))  # which is YAML, too
        with self.place(), (self.folder / "serve.log").open("ab") as output:
            self.process = psutil.Popen(
                [PROXYCTL, "serve", "routes.yaml"],
                cwd=self.folder,
                env=clean_environment({"HUBGATE_TOKEN": self.token, **self.environment}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def processes(self) -> list[psutil.Process]:
        """The supervisor, and what it has started."""
        assert self.process is not None
        with contextlib.suppress(psutil.NoSuchProcess):
            return [self.process, *self.process.children(recursive=True)]
        return []

    def freeze(self, workers: bool = True) -> None:
        """Stop every process, as if the machine slept, or all but the workers."""
        for each in self.processes if workers else self.processes[:1]:
            each.suspend()

    def thaw(self) -> None:
        """Let it go on: the supervisor last, who would take its workers for hung."""
        for each in reversed(self.processes):
            each.resume()

    def kill(self, workers: bool = True) -> None:
        """End every process at once; or the supervisor, and wait until its workers have ended."""
        processes = self.processes
        kill(processes if workers else processes[:1])
        if self.process is not None:
            self.process.wait(PATIENCE)
        psutil.wait_procs([each for each in processes[1:] if lives(each)], PATIENCE)

    def stop(self) -> None:
        """End it as an operator does."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE) == 0, self.log

    async def ask(
        self, method: str, path: str, data: object = None, token: str | None = None
    ) -> Reply:
        """Call the API on a connection of its own. Raises OSError or EOFError, also if too late.

        A PUT replaces whatever is there.
        """
        begun = time.monotonic()
        body = b"" if data is None else json.dumps(data).encode()
        matching = "If-Match: *\r\n" if method == "PUT" else ""
        head = (
            f"{method} {path} HTTP/1.0\r\nHost: {self.host}:{self.api_port}\r\n"
            f"Authorization: token {token or self.token}\r\n{matching}"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        answer = await self._exchange(self.api_port, head.encode() + body)
        head, _, body = answer.partition(b"\r\n\r\n")
        fields = dict(
            line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line
        )
        named = fields.get(b"hubgate-missing-replicas", b"").decode()
        missing = tuple(name.strip() for name in named.split(",") if name.strip())
        return Reply(int(head.split()[1]), missing, body, time.monotonic() - begun)

    async def get(self, path: str, host: str = "hub") -> int:
        """Return the status of a page, asked for on a new connection. Raises OSError, EOFError."""
        request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        return int((await self._exchange(self.port, request.encode())).split()[1])

    async def table(self, token: str | None = None) -> dict[str, str]:
        """Return the target of every route, as its API shows them."""
        reply = await self.ask("GET", "/api/routes", token=token)
        assert reply.status == 200, reply
        return {key: data["target"] for key, data in json.loads(reply.body).items()}

    async def last_activity(self, path: str) -> float:
        """Return when the route was last active, in seconds since the epoch, as its API says."""
        reply = await self.ask("GET", f"/api/routes{path}")
        return datetime.fromisoformat(json.loads(reply.body)["last_activity"]).timestamp()

    async def serves(self) -> None:
        """Wait until it is ready."""

        async def ready() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.log
            with contextlib.suppress(OSError, EOFError):
                return (await self.ask("GET", "/_hubgate/ready")).status == 200
            return False

        await come_true(ready)

    async def writable(self) -> None:
        """Wait until it takes changes."""

        async def ready() -> bool:
            with contextlib.suppress(OSError, EOFError):
                return (await self.ask("GET", "/_hubgate/ready?writes")).status == 200
            return False

        await come_true(ready)

    async def _exchange(self, port: int, request: bytes) -> bytes:
        with self.client():
            sock = socket.socket()
        sock.setblocking(False)
        try:
            async with asyncio.timeout(PATIENCE):
                await asyncio.get_running_loop().sock_connect(sock, (self.host, port))
                reader, writer = await asyncio.open_connection(sock=sock)
                writer.write(request)
                answer = await reader.read()
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
        except BaseException:
            sock.close()
            raise
        if not answer.startswith(b"HTTP/1."):
            raise EOFError(f"no response but {answer!r}")
        return answer


async def come_true(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Return as soon as awaiting `condition()` gives true; fail if it does not in time."""
    deadline = time.monotonic() + seconds
    while not await condition():  # type: ignore[misc]
        assert time.monotonic() < deadline, "what was waited for did not happen"
        await asyncio.sleep(0.05)


class Cluster:
    """Replicas "one", "two", … that share a table."""

    def __init__(self, replicas: Sequence[Replica]) -> None:
        self.replicas = [*replicas]

    def __getitem__(self, number: int) -> Replica:
        return self.replicas[number]

    def __iter__(self) -> Iterator[Replica]:
        return iter(self.replicas)

    def start(self) -> None:
        """Start all of them, at the same time."""
        for each in self:
            each.start()

    async def serve(self) -> None:
        """Wait until all are ready, and take changes."""
        for each in self:
            await each.serves()
            await each.writable()

    async def add(self, path: str, target: str, through: int = 0) -> Reply:
        """Add a route as a hub does, which tries again for a while."""
        return await acknowledged(self[through], "POST", path, {"target": target})

    async def remove(self, path: str, through: int = 0) -> Reply:
        """Remove a route as a hub does."""
        return await acknowledged(self[through], "DELETE", path)

    async def agree(self, wanted: dict[str, str] | None = None, seconds: float = PATIENCE) -> None:
        """Wait until all have the same table, or the one that is `wanted`."""

        async def alike() -> bool:
            with contextlib.suppress(OSError, EOFError):
                tables = [await each.table() for each in self]
                first = tables[0] if wanted is None else wanted
                return all(table == first for table in tables)
            return False

        await come_true(alike, seconds)


async def acknowledged(replica: Replica, method: str, path: str, data: object = None) -> Reply:
    """Make a change, trying again while there is no answer or a 5xx. Returns the last answer."""
    doubtful = False
    deadline = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(OSError, EOFError):
            reply = await replica.ask(method, f"/api/routes{path}", data)
            if reply.status in (201, 204) or (doubtful and reply.status == 404):
                return reply
            assert reply.status == 503, reply
        doubtful = True  # it may have happened
        assert time.monotonic() < deadline, f"{method} {path} was never answered"
        await asyncio.sleep(0.1)


NAMES = ("one", "two", "three")


@contextlib.contextmanager
def cluster(
    folder: Path,
    store: str,
    count: int = 3,
    workers: int = 1,
    place: Callable[[Replica], None] = lambda _: None,
    **settings: object,
) -> Iterator[Cluster]:
    """Run `count` hubgates on a `store` until the block ends; `settings` are as in routes.yaml.

    `place` gives each its machine before it is started.
    """
    token = secrets.token_hex(8)
    given = {"workers": workers, **settings}
    made = [Replica(name, folder / name, store, token, given) for name in NAMES[:count]]
    with ended(made):
        together = Cluster(made)
        for each in made:
            place(each)
        together.start()
        yield together


@contextlib.contextmanager
def ended(replicas: Sequence[Replica]) -> Iterator[None]:
    """End the replicas after the block, whatever state they are in."""
    with ExitStack() as stack:
        for each in replicas:
            stack.callback(lambda each=each: each.process is not None and each.kill())
        yield


async def upgraded(replica: Replica) -> None:
    """Run `proxyctl upgrade` for it until that is done."""
    process = await asyncio.create_subprocess_exec(
        *(PROXYCTL, "upgrade", "--api-url", f"http://{replica.host}:{replica.api_port}"),
        env={"HUBGATE_TOKEN": replica.token, "PATH": os.environ.get("PATH", "")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode == 0, output.decode()
