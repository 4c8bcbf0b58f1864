"""One worker process as the supervisor sees it: started, controlled over the link, reaped."""

import asyncio
import itertools
import logging
import socket
from collections.abc import Sequence
from enum import Enum
from typing import Protocol

from hubgate.control.handover import HandedWorker
from hubgate.control.workers.spawn import AdoptedProcess, Process, SpawnedWorker
from hubgate.model import Report, Route, WorkerConfig
from hubgate.worker.link import Link
from hubgate.worker.messages import (
    Ack,
    Change,
    Collect,
    Collected,
    Configure,
    Configured,
    Drain,
    Drained,
    Failed,
    Hello,
    InheritedSocket,
    Message,
    Ready,
    Retire,
    Start,
)

log = logging.getLogger("hubgate.worker")

# A worker that owes an answer for this many one-second ticks hangs. Ticks are counted instead of
# reading the clock, so that after a machine was asleep its workers do not count as hung.
TICKS_TO_ANSWER = 10
TICKS_TO_START = 60

REAP_INTERVAL = 0.01  # seconds
REAP_ATTEMPTS = 100

Answer = type[Ack] | type[Collected] | type[Configured]


class WorkerState(Enum):
    """A worker's state; it only ever moves down this list."""

    STARTING = "starting"  # the interpreter is running, no message yet
    LOADING = "loading"  # has been sent the table, and owes acknowledgements from here on
    READY = "ready"  # accepts connections
    RETIRED = "retired"  # accepts none, serves open ones while newer workers take the rest
    DRAINING = "draining"  # finishes open requests
    GONE = "gone"  # reaped


STARTUP = (WorkerState.STARTING, WorkerState.LOADING)
LIVE = (WorkerState.LOADING, WorkerState.READY, WorkerState.RETIRED, WorkerState.DRAINING)


class WorkerObserver(Protocol):
    """Receives a worker's messages about itself; nothing here may wait."""

    def on_hello(self, worker: "WorkerProcess") -> None:
        """The worker can be sent the table, with `start`."""

    def on_ready(self, worker: "WorkerProcess") -> None:
        """The worker accepts connections."""

    def on_report(self, worker: "WorkerProcess", report: Report) -> None:
        """The worker has sent a report of what it has seen since its last one."""


class WorkerProcess:
    """A running worker. `run` follows it to its end; everything else may be called meanwhile."""

    def __init__(
        self,
        index: int,
        process: Process,
        link: Link,
        sockets: Sequence[InheritedSocket],
        observer: WorkerObserver,
    ) -> None:
        self.index = index
        self.pid = process.pid
        self.state = WorkerState.STARTING
        self.was_ready = False
        self.failure: str | None = None
        self._process = process
        self._link = link
        self._sockets = tuple(sockets)
        self._observer = observer
        # Several may wait for one answer; each has a future that it may cancel.
        self._owed: dict[tuple[Answer, int], list[asyncio.Future[None]]] = {}
        self._silent_ticks = 0

    def __repr__(self) -> str:
        return f"<WorkerProcess {self.index} pid={self.pid} {self.state.value}>"

    @classmethod
    async def take_charge(
        cls,
        index: int,
        spawned: SpawnedWorker,
        sockets: Sequence[InheritedSocket],
        observer: WorkerObserver,
    ) -> "WorkerProcess":
        """Take charge of a process that was started with `sockets`."""
        return cls(index, spawned.process, await Link.open(spawned.link), sockets, observer)

    @classmethod
    async def adopt(cls, handed: HandedWorker, observer: WorkerObserver) -> "WorkerProcess":
        """Take over a worker of the release that ran before in this process."""
        ours = socket.socket(fileno=handed.link_fd)
        ours.set_inheritable(False)
        ours.setblocking(False)
        link = await Link.open(ours, handed.received)
        worker = cls(handed.index, AdoptedProcess(handed.pid), link, (), observer)
        worker.was_ready = True
        worker.state = WorkerState.RETIRED if handed.retired else WorkerState.READY
        return worker

    @property
    def live(self) -> bool:
        """Whether the worker has the table and must be sent every change."""
        return self.state in LIVE

    @property
    def has_news(self) -> bool:
        """Whether the worker can have seen any traffic: while it loads its table it has not."""
        return self.live and self.was_ready

    @property
    def ending(self) -> str:
        """How the process ended, for a log line."""
        code = self._process.returncode
        if code is None:
            return "is running"
        return f"ended with code {code}" if code >= 0 else f"was killed by signal {-code}"

    @property
    def ended_well(self) -> bool:
        """Whether the process exited by itself, as it does once nothing is open any more."""
        return self._process.returncode == 0

    # --- messages to the worker ---

    def start(self, config: WorkerConfig, revision: int, routes: tuple[Route, ...]) -> None:
        """Send the worker the table as of `revision`; it is live from here on."""
        self.state = WorkerState.LOADING
        self._link.send(Start(config, self._sockets, revision, routes))

    def change(self, change: Change) -> asyncio.Future[None]:
        """Send `change`; the future is done when it is acknowledged or the worker has ended."""
        self._link.send(change)
        return self._expect(Ack, change.revision)

    def caught_up(self) -> asyncio.Future[None]:
        """Return a future that is done when every change sent so far is acknowledged.

        Or when the worker has ended.
        """
        sent = (number for answer, number in reversed(self._owed) if answer is Ack)
        if (latest := next(sent, None)) is not None:
            return self._expect(Ack, latest)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def collect(self, number: int) -> asyncio.Future[None]:
        """Ask for a report; the future is done when it has arrived or the worker has ended."""
        self._link.send(Collect(number))
        return self._expect(Collected, number)

    def configure(self, number: int, config: WorkerConfig) -> asyncio.Future[None]:
        """Make it use `config`; the future is done when it does or the worker has ended."""
        self._link.send(Configure(number, config))
        return self._expect(Configured, number)

    def retire(self, limit: float, drain: float) -> None:
        """Make it stop accepting connections, and end once the open ones have ended.

        After `limit` seconds it drains, for at most `drain` seconds.
        """
        if self.state is WorkerState.READY:
            self.state = WorkerState.RETIRED
            self._link.send(Retire(limit, drain))

    async def hand_over(self) -> HandedWorker:
        """Hand the worker over; `run` must be cancelled already.

        Raises LinkClosedError if it hangs, or has ended.
        """
        fd, received = await self._link.hand_over()
        retired = self.state is not WorkerState.READY
        return HandedWorker(self.index, self.pid, fd, received, retired)

    def drain(self, timeout: float) -> None:
        """Tell the worker to finish open requests within `timeout` seconds, and to end."""
        if self.live:
            self.state = WorkerState.DRAINING
            self._link.send(Drain(timeout))
        else:
            self.kill()

    def kill(self) -> None:
        """End the worker at once."""
        self._process.kill()

    def tick(self) -> None:
        """Count one second; kill the worker if it has been silent for too long."""
        limit = TICKS_TO_START if self.state in STARTUP else TICKS_TO_ANSWER
        owes = self.state in STARTUP or self._owed
        self._silent_ticks = self._silent_ticks + 1 if owes else 0
        if self._silent_ticks > limit:
            log.error("worker %d hangs: no answer for %d seconds; killing it", self.pid, limit)
            self.kill()

    # --- messages from the worker ---

    async def run(self) -> None:
        """Follow the worker until it has ended and is reaped."""
        await self._link.deliver(self._handle)
        await self._link.close()
        await self._reap()
        self.state = WorkerState.GONE
        for answer, number in list(self._owed):
            self._resolve(answer, number)

    async def _reap(self) -> None:
        # The kernel closes a dying process's end of the link a moment before it can be reaped.
        for attempt in itertools.count(1):
            if self._process.poll() is not None:
                return
            if attempt == REAP_ATTEMPTS:
                self.kill()
            await asyncio.sleep(REAP_INTERVAL)

    def _handle(self, message: Message) -> None:
        self._silent_ticks = 0
        match message:
            case Ack(revision):
                self._resolve(Ack, revision)
            case Collected(number, report):
                self._observer.on_report(self, report)
                self._resolve(Collected, number)
            case Configured(number, mistake):
                if mistake is not None:
                    log.error("worker %d keeps its settings: %s", self.pid, mistake)
                self._resolve(Configured, number)
            case Hello():
                self._observer.on_hello(self)
            case Ready():
                self._became_ready()
            case Failed(reason):
                self.failure = reason
            case Drained():
                log.debug("worker %d has drained", self.pid)
            case _:
                log.error("worker %d sent an unexpected %s", self.pid, type(message).__name__)

    def _became_ready(self) -> None:
        self.was_ready = True
        if self.state is WorkerState.LOADING:
            self.state = WorkerState.READY
        self._observer.on_ready(self)

    def _expect(self, answer: Answer, number: int) -> asyncio.Future[None]:
        future = asyncio.get_running_loop().create_future()
        self._owed.setdefault((answer, number), []).append(future)
        return future

    def _resolve(self, answer: Answer, number: int) -> None:
        for future in self._owed.pop((answer, number), ()):
            if not future.done():
                future.set_result(None)
