"""The pool of workers: keeps its size, sends them every route change, collects reports."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol

from hubgate.control.handover import HandedWorker
from hubgate.control.workers.process import WorkerProcess, WorkerState
from hubgate.control.workers.spawn import SpawnedWorker, spawn_worker
from hubgate.errors import WorkerError
from hubgate.model import Report, Route, WorkerConfig
from hubgate.tasks import spawn
from hubgate.worker.link import LinkClosedError
from hubgate.worker.messages import Change, InheritedSocket

log = logging.getLogger("hubgate.supervisor")

# Seconds
TICK = 1.0
COLLECT_LIMIT = 1.0
# What a drain of no time at all gets on top, to exit; one of ten seconds or more gets nothing, as
# workers end before its time is over.
DRAIN_GRACE = 1.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0

# A worker that is killed loses at most this many seconds of activity.
TICKS_BETWEEN_REPORTS = 5

ATTEMPTS_AT_START = 3


class Reports(Protocol):
    """Where the workers' reports go; a worker is identified by its process id."""

    def add(self, worker: int, report: Report) -> None:
        """Record what the worker has seen since its last report."""

    def forget(self, worker: int) -> None:
        """Drop a worker that has ended."""


class WorkerPool:
    """One worker for each set of sockets, replaced as soon as it ends.

    Workers already `spawned`, by index, are used first, and removed from there.
    """

    def __init__(
        self,
        config: WorkerConfig,
        sockets: Sequence[Sequence[InheritedSocket]],
        spawned: dict[int, SpawnedWorker] | None = None,
    ) -> None:
        self.replaced = 0
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.config = config
        self._sockets = sockets
        self._spawned = spawned if spawned is not None else {}
        self._snapshot: Callable[[], tuple[Route, ...]] = tuple
        self._reports: Reports = NoReports()
        self._workers: dict[int, WorkerProcess] = {}
        self._places: dict[int, asyncio.Task[None]] = {}
        self._ticks: asyncio.Task[None] | None = None
        # Workers of an older release, by process id, and the tasks that follow them.
        self._adopted: dict[int, WorkerProcess] = {}
        self._followers: dict[int, asyncio.Task[None]] = {}
        self._in_step = True
        # Places whose worker could not be replaced: connections wait on their sockets.
        self._vacant: set[int] = set()
        self._missing = set(range(len(sockets)))
        self._complete = asyncio.Event()
        self._ending = asyncio.Event()
        self._revision = 0
        self._asked = 0

    def __repr__(self) -> str:
        return f"<WorkerPool {[*self._workers.values()]}>"

    async def start(self, snapshot: Callable[[], tuple[Route, ...]], reports: Reports) -> None:
        """Start every worker with `snapshot()` as its table; return when all are ready.

        Their reports go to `reports`. Raises WorkerError when a worker cannot be started; a
        later failure ends up in `failure`.
        """
        self.begin(snapshot, reports)
        complete = spawn(self._complete.wait(), "all workers ready")
        try:
            await asyncio.wait({complete, self.failure}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            complete.cancel()
        if self.failure.done():
            await self.stop()
            self.failure.result()

    def begin(self, snapshot: Callable[[], tuple[Route, ...]], reports: Reports) -> None:
        """Start every worker as `start` does, without waiting."""
        self._snapshot = snapshot
        self._reports = reports
        self._places = {
            index: spawn(self._report_failure(self._fill_place(index)), f"place of worker {index}")
            for index in range(len(self._sockets))
        }
        self._ticks = spawn(self._report_failure(self._tick_on()), "worker ticks")

    # --- from release to release ---

    async def adopt(
        self, workers: Iterable[HandedWorker], revision: int, in_step: bool, reports: Reports
    ) -> None:
        """Take over workers that an older release started; before `begin`.

        They serve until `retire_adopted`, and get route changes if they are `in_step`, that is,
        can read them. As long as any of them is running, new workers that cannot be started are
        retried instead of ending the pool.
        """
        self._reports = reports
        self._revision = revision
        self._in_step = in_step
        for handed in workers:
            worker = await WorkerProcess.adopt(handed, self)
            self._adopted[worker.pid] = worker
            following = self._report_failure(self._follow(worker))
            self._followers[worker.pid] = spawn(following, f"follow worker {worker.pid}")

    async def retire_adopted(self, limit: float, drain: float) -> None:
        """Once all new workers are ready, make the adopted ones stop accepting connections.

        Their open connections may last `limit` seconds; then they drain, for at most `drain`
        seconds.
        """
        await self._complete.wait()
        for worker in self._adopted.values():
            worker.retire(limit, drain)

    @property
    def revision(self) -> int:
        """The number of the latest change."""
        return self._revision

    @property
    def lacking(self) -> str | None:
        """One word for what is missing from the pool, None while every place is served.

        A worker that is being replaced is not missing: its connections wait for half a second.
        """
        return "worker" if self._vacant else None

    async def hand_over(self) -> list[HandedWorker]:
        """Hand all workers over to a newer release; none is left in the pool.

        One that is not ready, or does not read its link, is killed: it serves nobody.
        """
        self._ending.set()
        leaving = {**self._adopted}
        for index, worker in self._workers.items():
            if worker.state is WorkerState.READY:
                leaving[worker.pid] = worker
                self._places[index].cancel()
            else:
                worker.kill()
        for follower in self._followers.values():
            follower.cancel()
        await self._wait_for_end(None)
        return [handed for each in leaving.values() if (handed := await self._handed(each))]

    async def _handed(self, worker: WorkerProcess) -> HandedWorker | None:
        try:
            return await worker.hand_over()
        except LinkClosedError as error:
            worker.kill()
            await worker.run()  # its last messages may still be unread
            self._reports.forget(worker.pid)
            level = logging.INFO if worker.ended_well else logging.ERROR
            log.log(level, "worker pid %d %s: %s", worker.pid, worker.ending, error)
            return None

    # --- requests of the control plane ---

    def publish(self, put: Sequence[Route], delete: Sequence[str]) -> Awaitable[None]:
        """Put and delete routes in every live worker; await the result until all acknowledged.

        A worker that starts later gets them with its table; one that dies is not waited for.
        """
        self._revision += 1
        change = Change(self._revision, tuple(put), tuple(delete))
        return _all_done([each.change(change) for each in self._changing()])

    def caught_up(self) -> Awaitable[None]:
        """Await the result until every live worker has acknowledged all changes so far."""
        return _all_done([each.caught_up() for each in self._changing()])

    async def collect(self) -> None:
        """Ask every live worker to report; return when all have, or after a second."""
        waiting = self._ask_for_reports()
        if waiting:
            await asyncio.wait(waiting, timeout=COLLECT_LIMIT)

    async def configure(self, config: WorkerConfig) -> None:
        """Make every worker, later ones too, use `config`; return when all do.

        A worker that cannot is logged, and continues as before.
        """
        self.config = config
        self._asked += 1
        waiting = [each.configure(self._asked, config) for each in self._live()]
        if waiting:
            await asyncio.wait(waiting)

    async def drain(self, timeout: float) -> None:
        """Let every worker finish open requests within `timeout` seconds, and end."""
        self._ending.set()
        for worker in self._all():
            worker.drain(timeout)
        await self._wait_for_end(timeout + max(0.0, DRAIN_GRACE - timeout / 10))
        for worker in self._all():
            log.error("worker pid %d did not end in time; killing it", worker.pid)
        await self.stop()

    async def stop(self) -> None:
        """End every worker at once."""
        self._ending.set()
        for worker in self._all():
            worker.kill()
        await self._wait_for_end(None)

    # --- messages from workers ---

    def on_hello(self, worker: WorkerProcess) -> None:
        """Send the worker the table as it becomes live, in one step: it misses no change."""
        config = self.config
        if config.access_log is not None and self._complete.is_set():
            # It replaces another one: better without the log than nobody at all.
            config = replace(config, access_log=replace(config.access_log, required=False))
        worker.start(config, self._revision, self._snapshot())

    def on_ready(self, worker: WorkerProcess) -> None:
        """Count the worker as ready."""
        log.debug("worker %d (pid %d) is ready", worker.index, worker.pid)
        self._missing.discard(worker.index)
        self._vacant.discard(worker.index)
        if not self._missing:
            self._complete.set()

    def on_report(self, worker: WorkerProcess, report: Report) -> None:
        """Pass the report on."""
        self._reports.add(worker.pid, report)

    # --- keeping each place filled ---

    async def _report_failure(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:
            if not self.failure.done():
                self.failure.set_exception(error)
                self.failure.exception()  # mark it retrieved: nobody may be waiting for it any more

    async def _fill_place(self, index: int) -> None:
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
            self._vacant |= {index} if self._complete.is_set() else set()
            log.error("worker %d did not start: %s", index, end)
            if not self._replaceable and failed == ATTEMPTS_AT_START:
                raise WorkerError(f"worker {index} cannot be started: {end}")
            await self._pause(min(FIRST_PAUSE * 2**failed, LONGEST_PAUSE))

    async def _run_one(self, index: int) -> str | None:
        """Run a worker to its end; return why it never became ready, None if it did."""
        try:
            spawned = self._spawned.pop(index, None) or spawn_worker(index, self._sockets[index])
        except OSError as error:
            return error.strerror or str(error)
        worker = await WorkerProcess.take_charge(index, spawned, self._sockets[index], self)
        self._workers[index] = worker
        if self._ending.is_set():
            worker.kill()
        await worker.run()
        del self._workers[index]
        self._reports.forget(worker.pid)
        if worker.was_ready:
            if not self._ending.is_set():
                log.error("worker %d (pid %d) %s; replacing it", index, worker.pid, worker.ending)
            return None
        if worker.failure and not self._replaceable:
            # It reported why, so it would fail again.
            raise WorkerError(f"worker {index} cannot be started: {worker.failure}")
        return worker.failure or f"it {worker.ending}"

    @property
    def _replaceable(self) -> bool:
        """Whether other workers serve while one cannot be started."""
        return self._complete.is_set() or bool(self._adopted)

    async def _follow(self, worker: WorkerProcess) -> None:
        """Follow an adopted worker to its end; it is not replaced."""
        await worker.run()
        del self._adopted[worker.pid]
        self._reports.forget(worker.pid)
        log.info("worker pid %d from an earlier release %s", worker.pid, worker.ending)

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
            for worker in self._all():
                worker.tick()

    def _ask_for_reports(self) -> list[asyncio.Future[None]]:
        self._asked += 1
        asked = [*self._live(), *self._adopted.values()]
        return [each.collect(self._asked) for each in asked if each.has_news]

    def _all(self) -> list[WorkerProcess]:
        return [*self._workers.values(), *self._adopted.values()]

    async def _wait_for_end(self, seconds: float | None) -> None:
        tasks = [*self._places.values(), *self._followers.values()]
        tasks += [self._ticks] if self._ticks is not None else []
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    def _changing(self) -> list[WorkerProcess]:
        # Adopted ones too: they may still get a request on a kept-alive connection.
        adopted = self._adopted.values() if self._in_step else ()
        return [*self._live(), *adopted]

    def _live(self) -> list[WorkerProcess]:
        return [each for each in self._workers.values() if each.live]


async def _all_done(waiting: Iterable[asyncio.Future[None]]) -> None:
    for future in waiting:
        await future


class NoReports:
    """Ignores all reports: before the pool is started, and of a rehearsal's worker."""

    def add(self, worker: int, report: Report) -> None:
        """Ignore a report."""

    def forget(self, worker: int) -> None:
        """Do nothing."""
