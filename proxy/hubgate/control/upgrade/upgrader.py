"""Going over to the newly installed release: asked for, rehearsed, agreed on."""

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

    SERVING → REHEARSING → SERVING, when something is wrong, or → AGREED, which ends this release.
    """

    SETTLING = "settling"
    SERVING = "serving"
    REHEARSING = "rehearsing"
    AGREED = "agreed"


@dataclass(frozen=True, slots=True)
class UpgradeStatus:
    """Where hubgate stands: `generation` counts the upgrades since its process was started."""

    version: str
    generation: int
    state: str


class Upgrader:
    """Lets one upgrade at a time begin, once a rehearsal went well."""

    def __init__(self, rehearse: Callable[[], Awaitable[NewRelease]], generation: int) -> None:
        self.agreed = asyncio.Event()
        self._rehearse = rehearse
        self._generation = generation
        self._state = UpgradeState.SETTLING

    def __repr__(self) -> str:
        return f"<Upgrader {self._state.value}>"

    @property
    def status(self) -> UpgradeStatus:
        """Where we stand."""
        return UpgradeStatus(__version__, self._generation, self._state.value)

    def settled(self) -> None:
        """All workers are of this release: from now on the next one may be asked for."""
        self._state = UpgradeState.SERVING

    async def prepare(self) -> NewRelease:
        """Rehearse; `agreed` is set when this returns, and the end of this release begins.

        Raises UpgradeError, after a line in the log, when everything goes on as it was.
        """
        if self._state is not UpgradeState.SERVING:
            raise UpgradeUnderWayError(f"not now: hubgate is {self._state.value}")
        self._state = UpgradeState.REHEARSING
        try:
            new = await self._rehearse()
        except UpgradeError as error:
            log.error("not upgraded, everything goes on as it was: %s", error)
            raise
        finally:
            self._state = UpgradeState.SERVING
        self._state = UpgradeState.AGREED
        self.agreed.set()
        log.info("upgrading from %s to %s", __version__, new.release)
        return new

    async def prepare_for_signal(self) -> None:
        """Do it with nobody waiting for the outcome but the log."""
        try:
            await self.prepare()
        except UpgradeUnderWayError as error:
            log.warning("not upgraded: %s", error)
        except UpgradeError:
            pass  # is in the log already
