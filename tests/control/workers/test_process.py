import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hubgate.control.workers import process as process_module
from hubgate.control.workers.process import WorkerProcess, WorkerState
from hubgate.control.workers.spawn import spawn_worker
from hubgate.model import Report, Route, ServerTLS, WorkerConfig
from hubgate.tasks import spawn
from hubgate.worker.messages import Change, InheritedSocket, SocketKind
from tests.control.waiting import until

pytestmark = pytest.mark.processes

DEFAULTS = WorkerConfig()
TABLE = (Route("/", "http://127.0.0.1:9"),)


class Diary:
    """An observer that starts every worker with a table and writes down what it hears."""

    def __init__(self, config: WorkerConfig = DEFAULTS) -> None:
        self.config = config
        self.reports: list[Report] = []
        self.ready = asyncio.Event()

    def on_hello(self, worker: WorkerProcess) -> None:
        worker.start(self.config, 7, TABLE)

    def on_ready(self, worker: WorkerProcess) -> None:
        self.ready.set()

    def on_report(self, worker: WorkerProcess, report: Report) -> None:
        self.reports.append(report)


class Life:
    """A worker process, the task that follows it, and what it said."""

    def __init__(self, diary: Diary, worker: WorkerProcess) -> None:
        self.diary = diary
        self.worker = worker
        self.end = spawn(worker.run(), "follow a worker")

    async def kill(self) -> None:
        if not self.end.done():
            self.worker.kill()
        await self.end


async def begin(diary: Diary, *sockets: InheritedSocket) -> Life:
    return Life(diary, await WorkerProcess.take_charge(0, spawn_worker(0, sockets), sockets, diary))


@pytest.fixture
async def life() -> AsyncIterator[Life]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        life = await begin(Diary(), InheritedSocket(listener.fileno(), SocketKind.PUBLIC))
        await until(lambda: life.diary.ready.is_set() or life.end.done())
        yield life
        await life.kill()


async def test_worker_serves_on_its_inherited_socket_once_ready() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        diary = Diary()
        life = await begin(diary, InheritedSocket(listener.fileno(), SocketKind.PUBLIC))
        assert life.worker.state is WorkerState.STARTING
        assert not life.worker.live
        # Sent before the worker accepts, answered by it: the socket was listening all the time.
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(b"GET /_chp_healthz HTTP/1.1\r\nHost: hub\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        assert life.worker.live
        writer.close()
        await until(diary.ready.is_set)
        assert life.worker.state is WorkerState.READY
        assert "ready" in repr(life.worker)
        await life.kill()


async def test_change_is_acknowledged(life: Life) -> None:
    change = Change(8, (Route("/a", "http://127.0.0.1:9"),), ("/",))
    await asyncio.wait_for(life.worker.change(change), 30)


async def test_report_arrives_before_the_collection_is_done(life: Life) -> None:
    await asyncio.wait_for(life.worker.collect(1), 30)
    assert len(life.diary.reports) == 1


async def test_death_resolves_what_is_awaited(life: Life) -> None:
    os.kill(life.worker.pid, signal.SIGSTOP)
    waiting = [life.worker.change(Change(8, (), ())), life.worker.collect(1)]
    life.worker.kill()
    await asyncio.wait_for(asyncio.gather(*waiting), 30)
    await life.end
    assert life.worker.state is WorkerState.GONE
    assert life.worker.ending == "was killed by signal 9"


async def test_drained_worker_reports_and_ends_well(life: Life) -> None:
    life.worker.drain(5)
    assert life.worker.state is WorkerState.DRAINING
    await life.end
    assert life.worker.ending == "ended with code 0"
    assert len(life.diary.reports) == 1, "its last words"


async def test_worker_that_hangs_is_killed(life: Life) -> None:
    os.kill(life.worker.pid, signal.SIGSTOP)
    life.worker.change(Change(8, (), ()))
    for _ in range(process_module.TICKS_TO_ANSWER + 1):
        life.worker.tick()
    await life.end
    assert life.worker.ending == "was killed by signal 9"


async def test_worker_that_owes_nothing_may_be_silent(life: Life) -> None:
    for _ in range(process_module.TICKS_TO_START + 5):
        life.worker.tick()
    await asyncio.wait_for(life.worker.collect(1), 30)
    assert life.worker.state is WorkerState.READY


async def test_worker_that_hangs_before_it_is_ready_is_killed() -> None:
    life = await begin(Diary())
    os.kill(life.worker.pid, signal.SIGSTOP)
    for _ in range(process_module.TICKS_TO_START + 1):
        life.worker.tick()
    await life.end
    assert not life.worker.was_ready


async def test_worker_says_why_it_cannot_start(tmp_path: Path) -> None:
    tls = ServerTLS(str(tmp_path / "no.pem"), str(tmp_path / "no-key.pem"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        diary = Diary(WorkerConfig(tls=tls))
        life = await begin(diary, InheritedSocket(listener.fileno(), SocketKind.PUBLIC))
        await life.end
    assert life.worker.failure is not None
    assert "no.pem" in life.worker.failure
    assert life.worker.ending == "ended with code 1"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_worker_leaves_signals_to_the_supervisor(life: Life, number: int) -> None:
    os.kill(life.worker.pid, number)
    await asyncio.wait_for(life.worker.collect(1), 30)
    assert life.worker.state is WorkerState.READY
