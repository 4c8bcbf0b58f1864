"""The API on a real port, and a client that sends a request target exactly as given."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from aiohttp import web

from hubgate.control.api.app import build_api
from hubgate.control.api.operations import add_operations
from hubgate.control.health import Health, add_health
from hubgate.control.metrics.totals import Metrics
from hubgate.control.reload import Outcome
from hubgate.control.replicas.replicas_page import replicas_page
from hubgate.control.replicas.replication import Replication
from hubgate.control.routes.service import RouteService
from hubgate.control.upgrade.rehearsal import NewRelease
from hubgate.control.upgrade.upgrader import Upgrader
from hubgate.control.web.guard import Guard
from hubgate.control.web.host_names import HostNames
from hubgate.control.web.pages import Pages
from hubgate.control.web.protocol import hide_software
from hubgate.errors import UpgradeError
from hubgate.model import ForwardRules, Route, WorkerConfig
from hubgate.settings import Settings
from hubgate.settings.values import ApiToken
from tests.control.recording import RecordingStore, RecordingWorkers

PATIENCE = 30.0
TARGET = "http://127.0.0.1:9001"


@dataclass(frozen=True)
class Answer:
    """A response, its header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Api:
    """A running API with all that is around it."""

    port: int
    service: RouteService
    workers: RecordingWorkers
    store: RecordingStore
    metrics: Metrics
    guard: Guard
    health: Health

    async def ask(
        self, method: str, target: str, body: Any = None, token: str | None = None
    ) -> Answer:
        """Send a request; a `body` that is not bytes goes as JSON."""
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        fields = {} if token is None else {"Authorization": f"token {token}"}
        return await ask(self.port, method, target, content, fields)


@asynccontextmanager
async def serve(app: web.Application) -> AsyncIterator[int]:
    """Serve `app` on a free port; yields the port."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    hide_software(runner)
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def serving(
    token: str | None = None,
    rules: ForwardRules | None = None,
    fixed: Iterable[Route] = (),
    hosts: Iterable[str] = (),
    named: Iterable[ApiToken] = (),
) -> AsyncIterator[Api]:
    """Run the API over recording workers and a recording store."""
    workers, store, metrics = RecordingWorkers(), RecordingStore(), Metrics()
    service = RouteService(store, workers)
    await service.open(fixed, ())
    settings = Settings(api_token=token, worker=WorkerConfig(rules=rules or ForwardRules()))
    guard = Guard(token, HostNames(hosts), named=named)
    app = build_api(service, settings, workers, metrics, guard)
    health = Health(serves=True)
    health.writing = lambda: service.write_obstacle
    add_health(app, health)
    nowhere: Any = SimpleNamespace(public=(), api=(), health=())
    replicas = replicas_page(Replication("alone", None, health, settings, nowhere), service)
    add_operations(Pages(app, guard), Upgrader(_rehearse, 0), _reload, replicas)
    async with serve(app) as port:
        yield Api(port, service, workers, store, metrics, guard, health)
        service.changes.close()  # whoever watches is told to leave
    await service.close()


async def _reload() -> Outcome:
    return Outcome(("routes",), ("workers",))


async def _rehearse() -> NewRelease:
    raise UpgradeError("there is nothing newer")


async def ask(
    port: int,
    method: str,
    target: str,
    body: bytes | None = None,
    fields: Mapping[str, str] | None = None,
) -> Answer:
    """Send one request, its target untouched, and read the response to its end."""
    sent = {"Host": f"127.0.0.1:{port}", "Connection": "close", **(fields or {})}
    if body is not None:
        sent["Content-Length"] = str(len(body))
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items())]
    head = "".join(f"{line}\r\n" for line in [*lines, ""]).encode()
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
        try:
            writer.write(head + (body or b""))
            return await read_answer(reader)
        finally:
            writer.close()


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """Read a response whose connection closes after it."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
    pairs = (line.partition(": ") for line in head[1:] if line)
    fields = {name.lower(): value for name, _, value in pairs}
    if fields.get("transfer-encoding") == "chunked":
        body = await _read_chunks(reader)
    else:
        body = await reader.read()
    return Answer(int(head[0].split()[1]), fields, body)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    while size := int(await reader.readline(), 16):
        parts.append(await reader.readexactly(size))
        await reader.readline()
    return b"".join(parts)
