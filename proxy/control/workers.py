"""The pool of workers: kept at full strength, told of every route change, asked for reports."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Protocol

from proxy.control.process import WorkerProcess
from proxy.errors import WorkerError
from proxy.model import Report, Route, WorkerConfig
from proxy.tasks import spawn
from proxy.worker.messages import Change, InheritedSocket

log = logging.getLogger("hubgate.supervisor")

# Seconds
TICK = 1.0
COLLECT_LIMIT = 1.0
DRAIN_GRACE = 2.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0

# A worker that is killed takes with it at most this many seconds of activity.
TICKS_BETWEEN_REPORTS = 5

ATTEMPTS_AT_START = 3


class Reports(Protocol):
    """Where the workers' reports go; a worker is known by its process id."""

    def add(self, worker: int, report: Report) -> None:
        """Take in what the worker has seen since its last report."""

    def forget(self, worker: int) -> None:
        """The worker is gone."""


class WorkerPool:
    """As many workers as there are sets of sockets, each replaced as soon as it is gone."""

    def __init__(self, config: WorkerConfig, sockets: Sequence[Sequence[InheritedSocket]]) -> None:
        self.replaced = 0
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.config = config
        self._sockets = sockets
        self._snapshot: Callable[[], tuple[Route, ...]] = tuple
        self._reports: Reports = _NoReports()
        self._workers: dict[int, WorkerProcess] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._missing = set(range(len(sockets)))
        self._complete = asyncio.Event()
        self._ending = asyncio.Event()
        self._revision = 0
        self._asked = 0

    def __repr__(self) -> str:
        return f"<WorkerPool {[*self._workers.values()]}>"

    async def start(self, snapshot: Callable[[], tuple[Route, ...]], reports: Reports) -> None:
        """Start every worker with `snapshot()` as its table; return when all are ready.

        What they see goes to `reports`. Raises WorkerError when a worker cannot be started;
        what goes wrong later ends up in `failure`.
        """
        self._snapshot = snapshot
        self._reports = reports
        self._keepers = [
            spawn(self._guard(self._keep(index)), f"keeper of worker {index}")
            for index in range(len(self._sockets))
        ]
        self._keepers.append(spawn(self._guard(self._tick_on()), "worker ticks"))
        complete = spawn(self._complete.wait(), "all workers ready")
        try:
            await asyncio.wait({complete, self.failure}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            complete.cancel()
        if self.failure.done():
            await self.stop()
            self.failure.result()

    # --- what the control plane asks for ---

    async def publish(self, put: Sequence[Route], delete: Sequence[str]) -> None:
        """Put and delete routes in every live worker; return when all have acknowledged.

        A worker that starts later gets them with its table; one that dies is not waited for.
        """
        self._revision += 1
        change = Change(self._revision, tuple(put), tuple(delete))
        waiting = [each.change(change) for each in self._live()]
        if waiting:
            await asyncio.wait(waiting)

    async def collect(self) -> None:
        """Have every live worker report now; return when all have, or after a second."""
        waiting = self._ask_for_reports()
        if waiting:
            await asyncio.wait(waiting, timeout=COLLECT_LIMIT)

    async def configure(self, config: WorkerConfig) -> None:
        """Have every worker, later ones too, serve by `config`; return when all do.

        One that cannot says so in the log, and goes on as before.
        """
        self.config = config
        self._asked += 1
        waiting = [each.configure(self._asked, config) for each in self._live()]
        if waiting:
            await asyncio.wait(waiting)

    async def drain(self, timeout: float) -> None:
        """Let every worker finish what is open within `timeout` seconds, and end."""
        self._ending.set()
        for worker in self._workers.values():
            worker.drain(timeout)
        if self._keepers:
            await asyncio.wait(self._keepers, timeout=timeout + DRAIN_GRACE)
        await self.stop()

    async def stop(self) -> None:
        """End every worker at once."""
        self._ending.set()
        for worker in self._workers.values():
            worker.kill()
        if self._keepers:
            await asyncio.wait(self._keepers)

    # --- what workers say ---

    def on_hello(self, worker: WorkerProcess) -> None:
        """Give the worker the table, in one step with its becoming live: it misses no change."""
        worker.start(self.config, self._revision, self._snapshot())

    def on_ready(self, worker: WorkerProcess) -> None:
        """Count the worker in."""
        log.debug("worker %d (pid %d) is ready", worker.index, worker.pid)
        self._missing.discard(worker.index)
        if not self._missing:
            self._complete.set()

    def on_report(self, worker: WorkerProcess, report: Report) -> None:
        """Hand the report on."""
        self._reports.add(worker.pid, report)

    # --- keeping each place filled ---

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:
            if not self.failure.done():
                self.failure.set_exception(error)
                self.failure.exception()  # seen: nobody may be waiting for it any more

    async def _keep(self, index: int) -> None:
        """Keep a worker running in place `index` until the pool ends."""
        failed = 0
        while not self._ending.is_set():
            end = await self._run_one(index)
            if self._ending.is_set():
                return
            if end is None:
                failed = 0
                self.replaced += 1
                continue
            failed += 1
            log.error("worker %d did not start: %s", index, end)
            if not self._complete.is_set() and failed == ATTEMPTS_AT_START:
                raise WorkerError(f"worker {index} cannot be started: {end}")
            await self._pause(min(FIRST_PAUSE * 2**failed, LONGEST_PAUSE))

    async def _run_one(self, index: int) -> str | None:
        """Run a worker to its end; return why it never became ready, None if it did."""
        try:
            worker = await WorkerProcess.spawn(index, self._sockets[index], self)
        except OSError as error:
            return error.strerror or str(error)
        self._workers[index] = worker
        if self._ending.is_set():
            worker.kill()
        await worker.run()
        del self._workers[index]
        self._reports.forget(worker.pid)
        if worker.was_ready:
            if not self._ending.is_set():
                log.error("worker %d (pid %d) %s; replacing it", index, worker.pid, worker.fate)
            return None
        if worker.failure and not self._complete.is_set():
            # It knows why, so it would fail again.
            raise WorkerError(f"worker {index} cannot be started: {worker.failure}")
        return worker.failure or f"it {worker.fate}"

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ending.wait(), seconds)

    async def _tick_on(self) -> None:
        ticks = 0
        while not self._ending.is_set():
            await self._pause(TICK)
            ticks += 1
            if ticks % TICKS_BETWEEN_REPORTS == 0:
                self._ask_for_reports()
            for worker in self._workers.values():
                worker.tick()

    def _ask_for_reports(self) -> list[asyncio.Future[None]]:
        self._asked += 1
        return [each.collect(self._asked) for each in self._live() if each.has_news]

    def _live(self) -> list[WorkerProcess]:
        return [each for each in self._workers.values() if each.live]


class _NoReports:
    """Before the pool is started."""

    def add(self, worker: int, report: Report) -> None:
        pass

    def forget(self, worker: int) -> None:
        pass
