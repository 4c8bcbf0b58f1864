"""Stand-ins for what lies around the routes service: workers and stores that write a log."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence

from hubgate.errors import StoreError
from hubgate.model import Route
from hubgate.store.base import NO_MOMENTS, Expected, Written
from hubgate.store.memory import MemoryStore

Change = tuple[tuple[Route, ...], tuple[str, ...]]


class RecordingWorkers:
    """Notes every change it is told of; `gate` shut makes the workers slow to acknowledge."""

    def __init__(self, log: list[str] | None = None) -> None:
        self.changes: list[Change] = []
        self.log = [] if log is None else log
        self.published = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.collected = 0

    def publish(self, put: Sequence[Route], delete: Sequence[str]) -> Awaitable[None]:
        """Note the change now; what is returned waits for the gate."""
        self.changes.append((tuple(put), tuple(delete)))
        self.log.append("publish")
        self.published.set()
        return self._acknowledged()

    async def caught_up(self) -> None:
        """Wait for the gate."""
        await self.gate.wait()

    async def _acknowledged(self) -> None:
        await self.gate.wait()
        self.log.append("acknowledged")

    async def collect(self) -> None:
        """Count the round, then wait for the gate."""
        self.collected += 1
        await self.gate.wait()


class RecordingStore(MemoryStore):
    """A memory store that notes every write; `gate` shut delays them, `failing` set fails them.

    It has to be waited for, as one on a disk.
    """

    def __init__(self, log: list[str] | None = None) -> None:
        super().__init__()
        self.log = [] if log is None else log
        self.failing: StoreError | None = None
        self.known: dict[str, float] = {}
        self.noted: list[dict[str, float]] = []
        self.moments: Mapping[str, float] = NO_MOMENTS
        self.reached = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    @property
    def write_obstacle(self) -> str | None:
        """One word while writes fail."""
        return "store" if self.failing else None

    async def apply(
        self,
        put: Sequence[Route],
        delete: Sequence[str],
        active: Mapping[str, float] = NO_MOMENTS,
        expected: Expected | None = None,
    ) -> Written:
        """Make the change, or raise StoreError."""
        counts = {"put": len(put), "delete": len(delete)}
        await self._write(" and ".join(what for what, count in counts.items() if count))
        self.moments = active
        return await super().apply(put, delete, active)

    def apply_at_once(self, put: Sequence[Route], delete: Sequence[str]) -> Written | None:
        """None: it has to be waited for."""
        return None

    def last_activity(self) -> Mapping[str, float]:
        """Return what a test says is known from an earlier life."""
        return self.known

    def note_activity(self, activity: Mapping[str, float]) -> None:
        """Note it."""
        self.noted.append(dict(activity))

    async def _write(self, what: str) -> None:
        self.log.append(what)
        self.reached.set()
        await self.gate.wait()
        if self.failing:
            raise self.failing
