"""Switching to the newly installed release: requested, rehearsed, agreed."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

from hubgate import __version__
from hubgate.control.upgrade.rehearsal import NewRelease
from hubgate.errors import UpgradeError, UpgradeUnderWayError

log = logging.getLogger("hubgate.supervisor")


class UpgradeState(Enum):
    """SETTLING (after an upgrade, until the old workers accept nothing) → SERVING; then

    SERVING → REHEARSING → SERVING, if something is wrong, or → AGREED, which ends this release.
    Whatever it is, → ENDING when hubgate is told to stop.
    """

    SETTLING = "settling"
    SERVING = "serving"
    REHEARSING = "rehearsing"
    AGREED = "agreed"
    ENDING = "ending"


@dataclass(frozen=True, slots=True)
class UpgradeStatus:
    """The current release: `generation` counts the upgrades since its process was started."""

    version: str
    generation: int
    state: str


class Upgrader:
    """Starts one upgrade at a time, after a successful rehearsal."""

    def __init__(self, rehearse: Callable[[], Awaitable[NewRelease]], generation: int) -> None:
        self.agreed = asyncio.Event()
        self._rehearse = rehearse
        self._generation = generation
        self._state = UpgradeState.SETTLING

    def __repr__(self) -> str:
        return f"<Upgrader {self._state.value}>"

    @property
    def status(self) -> UpgradeStatus:
        """The current release and state."""
        return UpgradeStatus(__version__, self._generation, self._state.value)

    def settled(self) -> None:
        """Allow the next upgrade: all workers are of this release now."""
        if self._state is UpgradeState.SETTLING:
            self._state = UpgradeState.SERVING

    def end(self) -> None:
        """Allow no upgrade any more: hubgate was told to stop."""
        self._state = UpgradeState.ENDING

    async def prepare(self) -> NewRelease:
        """Rehearse; when this returns, `agreed` is set and this release begins to end.

        Raises UpgradeError, after logging it, if nothing changes.
        """
        if self._state is not UpgradeState.SERVING:
            raise UpgradeUnderWayError(f"not now: hubgate is {self._state.value}")
        self._state = UpgradeState.REHEARSING
        try:
            new = await self._rehearse()
        except UpgradeError as error:
            log.error("not upgraded, everything stays as it was: %s", error)
            raise
        finally:
            ended = self._state is not UpgradeState.REHEARSING
            self._state = UpgradeState.ENDING if ended else UpgradeState.SERVING
        if ended:
            raise UpgradeUnderWayError("not now: hubgate is ending")
        self._state = UpgradeState.AGREED
        self.agreed.set()
        log.info("upgrading from %s to %s", __version__, new.release)
        return new

    async def prepare_for_signal(self) -> None:
        """Prepare, and only log the outcome."""
        try:
            await self.prepare()
        except UpgradeUnderWayError as error:
            log.warning("not upgraded: %s", error)
        except UpgradeError:
            pass  # logged already
