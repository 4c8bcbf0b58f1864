"""The file where `proxyctl serve` keeps routes if nobody names a store; memory where it cannot.

A route that a person has added is there again after a reboot. A hub's route is not, unless hubgate
was gone for less than ten minutes: its notebook may have ended since, and another program may have
its port. A hub adds its own routes again.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from hubgate.errors import StoreError
from hubgate.model import Route
from hubgate.store.base import NO_MOMENTS, Expected, OwnedStore, RouteStore, Written
from hubgate.store.memory import MemoryStore
from hubgate.store.private_folder import PrivateFolder, private_file_error, private_folder_error
from hubgate.store.sqlite import SqliteStore
from hubgate.store.sqlite_file import BESIDE
from hubgate.store.unseen import LeftOut

log = logging.getLogger("hubgate.store")

HUB_ROUTES_LAST = 600.0
"""Seconds after which a hub's routes in a file that nobody used are not restored."""

_INSTEAD = (
    "routes are kept in memory, and lost when hubgate ends; repair that, or name a store: --store"
    " sqlite:FILE, or memory:"
)


class OwnFileStore(OwnedStore):
    """A store in the file at `path`, in a folder for our user only.

    Whatever is wrong with the file costs one line in the log, and the routes are in memory. So does
    another process that uses it, and goes on to for five seconds.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = SqliteStore(str(path), hub_routes_last=HUB_ROUTES_LAST)
        self._used: RouteStore = self._file
        self._routes: list[Route] | None = None

    def __repr__(self) -> str:
        return f"<OwnFileStore {self._used!r}>"

    @property
    def in_memory(self) -> bool:
        """Whether the file cannot be used."""
        return self._used is not self._file

    @property
    def left_out(self) -> LeftOut:
        """The hub's routes that `load` has left out."""
        return self._file.left_out

    @property
    def write_obstacle(self) -> str | None:
        """One word for why changes cannot be stored now; None if they can."""
        return self._used.write_obstacle

    async def open(self) -> None:
        """Open and read the file, or log why that cannot be; never raises."""
        try:
            await asyncio.to_thread(_prepare, self.path)
            await self._file.open()
            self._routes = await self._file.load()
        except StoreError as error:
            await self._file.close()
            self._used = MemoryStore()
            await self._used.open()
            log.warning("%s", line_about(error))

    async def load(self) -> list[Route]:
        """Return every stored route but a hub's that were unseen for too long."""
        routes, self._routes = self._routes, None
        return await self._used.load() if routes is None else routes

    async def apply(
        self,
        put: Sequence[Route],
        delete: Sequence[str],
        active: Mapping[str, float] = NO_MOMENTS,
        expected: Expected | None = None,
    ) -> Written:
        """Make one change, on the disk when this returns; return when that was."""
        return await self._used.apply(put, delete, active)

    def apply_at_once(self, put: Sequence[Route], delete: Sequence[str]) -> Written | None:
        """Make a small change if routes are kept in memory."""
        return self._used.apply_at_once(put, delete)

    def last_activity(self) -> Mapping[str, float]:
        """Return when each route was last active, as of `load()`."""
        return self._used.last_activity()

    def note_activity(self, activity: Mapping[str, float]) -> None:
        """Write it in the next round, at most a minute from now."""
        self._used.note_activity(activity)

    async def close(self, leave: bool = True) -> None:
        """Write the last activity and release the file."""
        await self._used.close()


def own_file_error(path: Path) -> StoreError | None:
    """Return why the file at `path` is not used, short of opening it; nothing is changed."""
    error = private_folder_error(path.parent)
    return _unusable(path.parent, error) if error else _exposed(path)


def line_about(error: StoreError) -> str:
    """Return the line for a file that cannot be used."""
    return f"{error}; {_INSTEAD}"


def keeps_in_memory(line: str) -> bool:
    """Return whether a line is one about a file that cannot be used."""
    return line.endswith(_INSTEAD)


def _prepare(path: Path) -> None:
    """Make the folder, and see that nobody else has put files there. Raises StoreError."""
    try:
        PrivateFolder(path.parent).close()
    except OSError as error:
        raise _unusable(path.parent, error) from None
    if (mistake := _exposed(path)) is not None:
        raise mistake


def _exposed(path: Path) -> StoreError | None:
    for each in (path, *(path.with_name(path.name + end) for end in BESIDE)):
        if (error := private_file_error(each)) is not None:
            return _unusable(each, error)
    return None


def _unusable(path: Path, error: OSError) -> StoreError:
    return StoreError(f"store: {path}: {error.strerror or error}")
