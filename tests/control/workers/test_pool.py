import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hubgate.control.listening.sockets import Listener, listen_for_workers
from hubgate.control.workers import pool as workers_module
from hubgate.control.workers.pool import WorkerPool
from hubgate.control.workers.process import WorkerProcess
from hubgate.errors import WorkerError
from hubgate.model import Address, Report, Route, ServerTLS, WorkerConfig
from hubgate.tasks import spawn
from hubgate.worker.messages import InheritedSocket, SocketKind
from tests.control.waiting import gone, until

pytestmark = pytest.mark.processes

DEFAULTS = WorkerConfig()
NOBODY_HOME = "http://127.0.0.1:9"


@dataclass
class Ledger:
    """Where reports go: by process id, and who was forgotten."""

    reports: dict[int, list[Report]] = field(default_factory=dict)
    forgotten: list[int] = field(default_factory=list)

    def add(self, worker: int, report: Report) -> None:
        self.reports.setdefault(worker, []).append(report)

    def forget(self, worker: int) -> None:
        self.forgotten.append(worker)


@dataclass
class Running:
    """A pool, the table its workers start with, and how to ask what they have."""

    pool: WorkerPool
    listener: Listener
    ledger: Ledger
    table: dict[str, Route] = field(default_factory=dict)

    @property
    def pids(self) -> list[int]:
        return sorted(worker.pid for worker in self.pool._workers.values())

    async def put(self, key: str) -> None:
        """Add a route as the routes service does."""
        self.table[key] = Route(key, NOBODY_HOME)
        await self.pool.publish([self.table[key]], [])

    async def status(self, path: str) -> int:
        """Ask one worker for `path`: 404 without a route, 503 with one (nobody is home)."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.listener.address.port)
        with closing(writer):
            writer.write(f"GET {path} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n".encode())
            answer = await reader.read()
        return int(answer.split()[1])

    async def kill_one(self) -> None:
        """Kill a worker and wait until another has taken its place."""
        await self.kill(self.pids[0])

    async def kill(self, pid: int) -> None:
        """Kill that worker and wait until another has taken its place."""
        os.kill(pid, signal.SIGKILL)
        await until(lambda: pid not in self.pids and self.complete)

    @property
    def complete(self) -> bool:
        workers = self.pool._workers.values()
        return len(workers) == len(self.pool._sockets) and all(
            worker.state.value == "ready" for worker in workers
        )


# In seconds or ticks, for what must not come to its end because the machine is busy.
LONG = 100_000

Begin = Callable[..., "asyncio.Future[Running]"]


@pytest.fixture
async def begin() -> AsyncIterator[Begin]:
    async with AsyncExitStack() as stack:

        async def begin_pool(
            workers: int = 2, config: WorkerConfig = DEFAULTS, routes: int = 0
        ) -> Running:
            listener = stack.enter_context(
                closing(listen_for_workers(Address("127.0.0.1", 0), workers))
            )
            pool = WorkerPool(
                config,
                [
                    [InheritedSocket(listener.of_worker(each).fileno(), SocketKind.PUBLIC)]
                    for each in range(workers)
                ],
            )
            stack.push_async_callback(pool.stop)
            running = Running(pool, listener, Ledger())
            for number in range(routes):
                key = f"/user/{number}"
                running.table[key] = Route(key, NOBODY_HOME)
            await pool.start(lambda: tuple(running.table.values()), running.ledger)
            return running

        yield begin_pool


async def test_every_worker_has_a_route_once_it_is_published(begin: Begin) -> None:
    running = await begin(workers=3)
    assert await running.status("/a") == 404
    await running.put("/a")
    assert {await running.status("/a") for _ in range(20)} == {503}
    await running.pool.publish([], ["/a"])
    assert {await running.status("/a") for _ in range(20)} == {404}


async def test_many_changes_at_once_arrive_in_order(begin: Begin) -> None:
    running = await begin()
    changes = []
    for _ in range(100):
        changes.append(running.pool.publish([Route("/a", NOBODY_HOME)], []))
        changes.append(running.pool.publish([], ["/a"]))
    await asyncio.wait_for(asyncio.gather(*changes), 60)
    assert await running.status("/a") == 404


async def test_killed_worker_is_replaced_with_the_table(begin: Begin) -> None:
    running = await begin()
    await running.put("/a")
    first = running.pids
    for pid in first:
        await running.kill(pid)
    assert set(first).isdisjoint(running.pids)
    assert {await running.status("/a") for _ in range(20)} == {503}
    assert running.pool.replaced == 2
    assert running.ledger.forgotten == first


async def test_large_table_reaches_a_new_worker_whole(begin: Begin) -> None:
    running = await begin(workers=1, routes=5003)
    await running.kill_one()
    for number in (0, 1999, 2000, 4000, 5002):
        assert await running.status(f"/user/{number}/lab") == 503
    assert await running.status("/user/5003/lab") == 404


async def test_no_change_is_missed_while_workers_are_replaced(begin: Begin) -> None:
    running = await begin()
    for number in range(60):
        if number % 20 == 5:
            os.kill(running.pids[0], signal.SIGKILL)
        await running.put(f"/{number}")
    await until(lambda: running.complete)
    for number in range(60):
        assert {await running.status(f"/{number}") for _ in range(4)} == {503}


async def test_connection_waits_for_the_worker_that_is_replaced(begin: Begin) -> None:
    running = await begin(workers=1)
    os.kill(running.pids[0], signal.SIGKILL)
    assert await asyncio.wait_for(running.status("/a"), 30) == 404


async def test_connections_of_other_workers_live_on(begin: Begin) -> None:
    running = await begin()
    owners: dict[int, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(b"GET /_chp_healthz HTTP/1.1\r\nHost: hub\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        return await reader.readexactly(len(b'{"status": "OK"}'))

    while len(owners) < 2:  # until each worker has one of ours
        reader, writer = await asyncio.open_connection("127.0.0.1", running.listener.address.port)
        await ask(reader, writer)
        owner = next(pid for pid in running.pids if holds(pid, writer.get_extra_info("sockname")))
        if owner in owners:
            writer.close()
        else:
            owners[owner] = (reader, writer)
    victim, survivor = running.pids
    os.kill(victim, signal.SIGKILL)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await ask(*owners[victim])
    await until(lambda: running.complete and victim not in running.pids)
    assert await ask(*owners[survivor]) == b'{"status": "OK"}'
    for _, writer in owners.values():
        writer.close()


async def test_death_of_a_worker_ends_the_wait_for_it(begin: Begin) -> None:
    running = await begin()
    os.kill(running.pids[0], signal.SIGSTOP)
    waiting = spawn(running.put("/a"), "publish")
    await asyncio.sleep(0)
    os.kill(running.pids[0], signal.SIGKILL)
    await asyncio.wait_for(waiting, 30)


async def test_worker_that_hangs_is_replaced(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    running = await begin(workers=1)
    monkeypatch.setattr(workers_module, "TICK", 0.05)
    monkeypatch.setattr("hubgate.control.workers.process.TICKS_TO_START", 3000)
    hung = running.pids[0]
    os.kill(hung, signal.SIGSTOP)
    await asyncio.wait_for(running.put("/a"), 30)
    await until(lambda: running.complete and hung not in running.pids)
    assert gone(hung)


async def test_collect_returns_with_every_report(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers_module, "COLLECT_LIMIT", LONG)
    running = await begin()
    await running.pool.collect()
    assert sorted(running.ledger.reports) == running.pids


async def test_collect_does_not_wait_for_a_worker_that_hangs(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = await begin()
    hung, well = running.pids
    monkeypatch.setattr(workers_module, "COLLECT_LIMIT", LONG)
    await running.pool.collect()
    before = {pid: len(reports) for pid, reports in running.ledger.reports.items()}
    os.kill(hung, signal.SIGSTOP)
    monkeypatch.setattr(workers_module, "COLLECT_LIMIT", 0.3)
    await asyncio.wait_for(running.pool.collect(), 30)
    await until(lambda: len(running.ledger.reports[well]) > before[well])
    assert len(running.ledger.reports[hung]) == before[hung]
    os.kill(hung, signal.SIGCONT)


async def test_collect_does_not_wait_for_a_worker_that_loads_its_table(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = await begin()
    for number in range(20_000):
        running.table[f"/{number}"] = Route(f"/{number}", NOBODY_HOME)
    greet = running.pool.on_hello

    def stopped(worker: WorkerProcess) -> None:
        os.kill(worker.pid, signal.SIGSTOP)  # so that it stays so
        greet(worker)

    monkeypatch.setattr(running.pool, "on_hello", stopped)
    os.kill(running.pids[0], signal.SIGKILL)
    await until(lambda: loading(running))
    monkeypatch.setattr(workers_module, "COLLECT_LIMIT", LONG)
    await asyncio.wait_for(running.pool.collect(), 30)


def loading(running: Running) -> list[int]:
    workers = running.pool._workers.values()
    return [each.pid for each in workers if each.state.value == "loading"]


async def test_reports_come_without_being_asked_for(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = await begin(workers=1)
    monkeypatch.setattr(workers_module, "TICK", 0.02)
    monkeypatch.setattr("hubgate.control.workers.process.TICKS_TO_START", LONG)
    monkeypatch.setattr("hubgate.control.workers.process.TICKS_TO_ANSWER", LONG)
    await until(lambda: len(running.ledger.reports.get(running.pids[0], [])) >= 2)


async def test_activity_reaches_the_ledger(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers_module, "COLLECT_LIMIT", LONG)
    running = await begin(workers=1)
    await running.status("/a")
    await running.pool.collect()
    counted = [report.counters for report in running.ledger.reports[running.pids[0]]]
    assert sum(each.get("requests_web", 0) for each in counted) == 1


async def test_drain_ends_every_worker(begin: Begin) -> None:
    running = await begin()
    pids = running.pids
    await asyncio.wait_for(running.pool.drain(5), 30)
    assert all(gone(pid) for pid in pids)
    assert running.pids == []
    assert running.pool.replaced == 0


async def test_drain_kills_a_worker_that_does_not_end(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = await begin()
    os.kill(running.pids[0], signal.SIGSTOP)
    pids = running.pids
    monkeypatch.setattr(workers_module, "DRAIN_GRACE", 0.1)
    await asyncio.wait_for(running.pool.drain(0.1), 30)
    assert all(gone(pid) for pid in pids)


async def test_stop_while_a_worker_is_replaced(begin: Begin) -> None:
    running = await begin()
    os.kill(running.pids[0], signal.SIGKILL)
    await asyncio.wait_for(running.pool.stop(), 30)
    assert running.pids == []


async def test_worker_that_cannot_start_is_one_clear_line(begin: Begin, tmp_path: Path) -> None:
    tls = ServerTLS(str(tmp_path / "no.pem"), str(tmp_path / "no-key.pem"))
    with pytest.raises(WorkerError, match=r"^worker \d cannot be started: .*no\.pem") as caught:
        await begin(config=WorkerConfig(tls=tls))
    assert "\n" not in str(caught.value)


async def test_worker_that_dies_at_start_is_one_clear_line(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    monkeypatch.setattr(workers_module, "FIRST_PAUSE", 0.01)
    with pytest.raises(WorkerError, match=r"cannot be started: it ended with code 1"):
        await begin()


async def test_interpreter_that_is_gone_is_one_clear_line(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    monkeypatch.setattr(workers_module, "FIRST_PAUSE", 0.01)
    with pytest.raises(WorkerError, match="No such file or directory"):
        await begin()


async def test_replacement_that_fails_is_tried_again(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = await begin(workers=1)
    python = sys.executable
    monkeypatch.setattr(sys, "executable", "/bin/false")
    monkeypatch.setattr(workers_module, "FIRST_PAUSE", 0.01)
    assert running.pool.lacking is None
    first = running.pids[0]
    os.kill(first, signal.SIGKILL)
    await until(lambda: len(running.ledger.forgotten) > workers_module.ATTEMPTS_AT_START + 1)
    assert running.pool.lacking == "worker"
    monkeypatch.setattr(sys, "executable", python)
    await until(lambda: running.complete)
    assert await running.status("/a") == 404
    assert running.pool.lacking is None


async def test_a_worker_that_is_being_replaced_is_not_missing(begin: Begin) -> None:
    running = await begin(workers=2)
    os.kill(running.pids[0], signal.SIGKILL)
    lacking: set[str | None] = set()
    while len(running.ledger.forgotten) < 1 or not running.complete:
        lacking.add(running.pool.lacking)
        await asyncio.sleep(0.001)
    assert lacking == {None}


async def test_replacing_workers_leaks_no_descriptor(begin: Begin) -> None:
    running = await begin(workers=1)
    await running.kill_one()
    before = len(os.listdir("/dev/fd"))
    for _ in range(10):
        await running.kill_one()
    assert len(os.listdir("/dev/fd")) == before


def holds(pid: int, client: tuple[str, int]) -> bool:
    """Say whether the process has the server's end of the connection from `client`."""
    inodes = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            inodes.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except FileNotFoundError:
            continue
    port = f":{client[1]:04X}"
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table]
    return any(row[2].endswith(port) and f"socket:[{row[9]}]" in inodes for row in rows)
