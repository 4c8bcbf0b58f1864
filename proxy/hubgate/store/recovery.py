"""Routes in memory that survive a killed process: the drop-in's store."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from hubgate.model import Route
from hubgate.store.base import NO_MOMENTS, Expected, Written
from hubgate.store.journal import Journal
from hubgate.store.memory import MemoryStore
from hubgate.tasks import spawn

log = logging.getLogger("hubgate.recovery")

# Seconds. Routes are written at once; when they were last active, no more often than this.
INTERVAL = 30.0
RETRY = 5.0
# Of many changes the first is written at once, and those of this time after it together.
GATHERING = 0.02


class RecoveryStore(MemoryStore):
    """A memory store with a file that a successor reads if we are killed.

    The file is written in the background: no route waits for a disk, and a problem with the
    file is only logged. `forget` at a clean exit is CHP's behaviour: routes end with the
    process.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._journal = Journal(path)
        self._activity: dict[str, float] = {}
        # Changes not yet in the file; None for a deleted route.
        self._changed: dict[str, Route | None] = {}
        self._active: dict[str, float] = {}
        self._wake = asyncio.Event()
        self._ending = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<RecoveryStore {len(self._routes)} routes, {self._journal}>"

    async def open(self) -> None:
        """Take over the file; never raises."""
        try:
            kept = await asyncio.to_thread(self._journal.open)
        except OSError as error:
            log.warning(
                "%s: %s; routes will not survive a crash: make the folder writable for this"
                " user only, or set XDG_STATE_HOME",
                self._journal.path,
                error.strerror,
            )
            return
        self._routes, self._activity = kept.routes, kept.activity
        if self._routes:
            count = len(self._routes)
            what = "route" if count == 1 else "routes"
            log.info("recovered %d %s left by the previous proxy", count, what)
        if self._journal.behind:
            self._wake.set()
        self._writer = spawn(self._write_on(self._journal.behind), "recovery file")

    def last_activity(self) -> Mapping[str, float]:
        """Return when the recovered routes were last active."""
        return self._activity

    def note_activity(self, activity: Mapping[str, float]) -> None:
        """Write it to the file in the next round, at most half a minute from now."""
        if self._writer is not None:
            self._active.update(activity)

    async def apply(
        self,
        put: Sequence[Route],
        delete: Sequence[str],
        active: Mapping[str, float] = NO_MOMENTS,
        expected: Expected | None = None,
    ) -> Written:
        """Delete and put these, in one step; it is in the file, whole, a moment later."""
        written = await super().apply(put, delete, active)
        self._note(put, delete, written)
        if self._writer is not None:
            self._active.update(active)
        return written

    def apply_at_once(self, put: Sequence[Route], delete: Sequence[str]) -> Written | None:
        """Delete and put these; it is in the file a moment later."""
        written = super().apply_at_once(put, delete)
        if written is not None:
            self._note(put, delete, written)
        return written

    def _note(self, put: Sequence[Route], delete: Sequence[str], written: Written) -> None:
        """Have a change written to the file."""
        if self._writer is not None:
            self._changed.update(dict.fromkeys(delete))
            self._changed.update((route.key, route) for route in put)
            self._active.update((route.key, written.moment) for route in put)
            self._wake.set()

    async def forget(self) -> None:
        """Remove the file, at a clean exit. From here on routes are in memory only."""
        await self._end_writing()
        with suppress(OSError):
            await asyncio.to_thread(self._journal.remove)

    async def close(self, leave: bool = True) -> None:
        """Write what is still unwritten; the file stays unless `forget` was called first."""
        await self._end_writing()
        self._journal.close()
        await super().close()

    async def _end_writing(self) -> None:
        writer, self._writer = self._writer, None
        self._ending.set()
        self._wake.set()
        if writer is not None:
            await asyncio.wait([writer])

    async def _write_on(self, failing: bool) -> None:
        while True:
            await _set(self._wake, INTERVAL)
            ending = self._ending.is_set()
            self._wake.clear()
            failing = await self._write(failing)
            if ending:
                return
            await _set(self._ending, RETRY if failing else GATHERING)

    async def _write(self, failed_before: bool) -> bool:
        """Write what is new; return whether it failed."""
        changed, self._changed = self._changed, {}
        active, self._active = self._active, {}
        put = [route for route in changed.values() if route is not None]
        delete = [key for key, route in changed.items() if route is None]
        try:
            await asyncio.to_thread(self._journal.write, put, delete, active)
        except OSError as error:
            if not failed_before:
                log.warning("%s: %s; routes may not survive a crash", self._journal.path, error)
            return True
        if failed_before:
            log.info("%s: can be written again", self._journal.path)
        return False


async def _set(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
