import asyncio
import json
import os
import pickle
import signal
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import cast

import pytest

from hubgate.control.reload import Parts, Reloader
from hubgate.control.routes.service import RouteService
from hubgate.control.web.guard import Guard
from hubgate.control.workers.pool import WorkerPool
from hubgate.model import (
    ForwardRules,
    Limits,
    Route,
    ServerTLS,
    Source,
    Timeouts,
    WorkerConfig,
)
from hubgate.settings import Settings
from hubgate.tasks import spawn
from tests.certificates.made import make_files
from tests.control.launched import SETTINGS, Answer, call, launched
from tests.control.recording import RecordingStore, RecordingWorkers
from tests.control.slow_backend import slow_backend
from tests.control.waiting import DEADLINE, until

NOBODY_HOME = "http://127.0.0.1:9"


def of_file(*keys: str) -> tuple[Route, ...]:
    return tuple(Route(key, NOBODY_HOME, source=Source.FILE) for key in keys)


WATCHING = replace(SETTINGS, workers=2, config_file=Path("its name is given when it is launched"))


@pytest.mark.processes
async def test_changed_file_is_taken_over(tmp_path: Path) -> None:
    async with launched(tmp_path, replace(WATCHING, file_routes=of_file("/a"))) as hubgate:
        await hubgate.serving()
        hubgate.write(replace(WATCHING, file_routes=of_file("/b")))
        await hubgate.printed("reloaded: routes")
        statuses = [(await hubgate.get(path)).status for path in ("/a", "/b")]
        assert statuses == [404, 503]


@pytest.mark.processes
async def test_bad_file_changes_nothing(tmp_path: Path) -> None:
    async with launched(tmp_path, replace(WATCHING, file_routes=of_file("/a"))) as hubgate:
        await hubgate.serving()
        hubgate.write(replace(WATCHING, file_routes=of_file("/b", "/b")))
        await hubgate.printed("not reloaded, the running settings stay: ")
        statuses = [(await hubgate.get(path)).status for path in ("/a", "/b")]
        assert statuses == [503, 404]
        hubgate.write(replace(WATCHING, file_routes=of_file("/b")))
        await hubgate.printed("reloaded: routes")


@pytest.mark.processes
async def test_signal_reloads_and_names_what_needs_a_restart(tmp_path: Path) -> None:
    rules = ForwardRules(host_routing=True, change_origin=True)
    async with launched(tmp_path, WATCHING) as hubgate:
        await hubgate.serving()
        hubgate.signal(signal.SIGHUP)
        await hubgate.printed("reloaded: nothing has changed")
        hubgate.write(replace(WATCHING, workers=5, worker=WorkerConfig(rules=rules)))
        hubgate.signal(signal.SIGHUP)
        await hubgate.printed("reloaded: forward.change_origin")
        await hubgate.printed("changed, and needs a restart: workers, forward.host_routing\n")


@pytest.mark.processes
async def test_the_ports_of_the_supervisor_take_over_their_limits(tmp_path: Path) -> None:
    async with launched(tmp_path, WATCHING) as hubgate:
        await hubgate.serving()
        hubgate.write(replace(WATCHING, worker=WorkerConfig(limits=Limits(control_connections=1))))
        await hubgate.printed("reloaded: limits.control_connections")
        where = "127.0.0.1", hubgate.api_port
        (silent, first), (_, second) = [await asyncio.open_connection(*where) for _ in range(2)]
        with suppress(ConnectionError):
            assert await asyncio.wait_for(silent.read(), 30) == b""
        await hubgate.printed("the API port is full: over 1 connections are open")
        for writer in (first, second):
            writer.close()


@pytest.mark.processes
async def test_workers_take_over_settings_and_keep_them(tmp_path: Path) -> None:
    async with slow_backend() as backend, launched(tmp_path, WATCHING) as hubgate:
        await hubgate.serving()
        await hubgate.add("/", backend.url)
        worker = WorkerConfig(timeouts=Timeouts(response=0.1, drain=3))
        hubgate.write(replace(WATCHING, worker=worker))
        await hubgate.printed("reloaded: timeouts.response, timeouts.drain")
        assert (await hubgate.get("/")).status in (503, 504)
        victims = hubgate.workers
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        assert (await hubgate.get("/")).status in (503, 504), "a new worker has them too"
        hubgate.signal(signal.SIGTERM)
        await hubgate.printed("draining, for 3 seconds")


async def shown_certificate(port: int) -> bytes:
    """Return the certificate that the server on `port` shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    assert isinstance(shown, bytes)
    return shown


@pytest.mark.processes
async def test_renewed_certificate_is_shown_to_new_connections(tmp_path: Path) -> None:
    """Without a file of settings too, as with the drop-in command."""
    files = make_files(tmp_path)
    tls = ServerTLS(files.cert, files.key)
    settings = replace(SETTINGS, workers=2, worker=WorkerConfig(tls=tls), api_tls=tls)
    async with launched(tmp_path, settings) as hubgate:
        await hubgate.serving()
        ports = hubgate.port, hubgate.api_port
        before = {await shown_certificate(port) for port in ports}
        assert len(before) == 1
        other = make_files(tmp_path, "other")
        os.replace(other.cert, files.cert)
        await hubgate.printed("not reloaded, the running settings stay: cannot use certificate")
        assert {await shown_certificate(port) for port in ports} == before
        os.replace(other.key, files.key)
        await hubgate.printed("reloaded: certificates")
        after = {await shown_certificate(port) for _ in range(5) for port in ports}
        assert len(after) == 1
        assert after != before


def held_reloader(service: RouteService, begun: Event, go: Event) -> tuple[Reloader, list[int]]:
    """Return one whose every read waits for `go`, and the number of routes that each found."""
    found: list[int] = []

    def read() -> Settings:
        begun.set()
        assert go.wait(DEADLINE)
        found.append(len(found))
        return replace(SETTINGS, file_routes=of_file(*(f"/{at}" for at in found)))

    pool = cast(WorkerPool, None)  # it has nothing to do with routes
    return Reloader(SETTINGS, read, Parts(service, pool, (), Guard(None)), {}), found


async def test_whoever_asks_during_a_reload_shares_the_next_one() -> None:
    service = RouteService(RecordingStore(), RecordingWorkers())
    await service.open((), ())
    begun, go = Event(), Event()
    reloader, found = held_reloader(service, begun, go)
    first = spawn(reloader.reload(), "first")
    await until(begun.is_set)
    others = [spawn(reloader.reload(), "another") for _ in range(1000)]
    await asyncio.sleep(0)
    # That one has left takes nothing from the others.
    others[0].cancel()
    go.set()
    assert (await first).changed == ("routes",)
    outcomes = await asyncio.gather(*others[1:])
    assert found == [0, 1]
    assert {outcome.changed for outcome in outcomes} == {("routes",)}
    assert len(service.snapshot()) == 2
    await reloader.reload()
    assert len(found) == 3


def reader_of(pipe: Path) -> int | None:
    """Return a descriptor to write to whoever reads from the pipe now; None if nobody does."""
    with suppress(OSError):
        return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    return None


async def feed(pipe: Path, content: bytes, calls: Sequence[asyncio.Task[Answer]]) -> None:
    """Give `content` to everyone who reads from the pipe, until the calls are answered."""
    while not all(each.done() for each in calls):
        if (reader := reader_of(pipe)) is not None:
            os.write(reader, content)
            os.close(reader)
        await asyncio.sleep(0.01)


@pytest.mark.processes
async def test_a_thousand_requests_to_reload_are_a_few_reloads(tmp_path: Path) -> None:
    async with launched(tmp_path, WATCHING) as hubgate:
        await hubgate.serving()
        file, port, pipe = hubgate.settings_file, hubgate.api_port, tmp_path / "pipe"
        os.mkfifo(pipe)
        os.replace(pipe, file)
        hubgate.signal(signal.SIGHUP)
        readers: list[int] = []
        await until(lambda: readers or readers.extend(filter(None, [reader_of(file)])) or readers)
        # From here on the first one waits for what it reads.
        for _ in range(1000):
            hubgate.signal(signal.SIGHUP)
        calls = [spawn(call(port, "POST", "/api/reload"), "reload") for _ in range(30)]
        assert (await call(port, "GET", "/api/routes")).status == 200
        old, new = (
            pickle.dumps(replace(WATCHING, config_file=file, file_routes=routes))
            for routes in ((), of_file("/new"))
        )
        os.write(readers[0], old)
        os.close(readers[0])
        await feed(file, new, calls)
        answers = [json.loads(each.result().body) for each in calls]
        assert hubgate.output.count("reloaded: ") <= 5
        assert ["routes"] in [answer["changed"] for answer in answers]
        assert (await hubgate.get("/new")).status == 503
