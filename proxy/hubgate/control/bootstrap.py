"""The first steps of a start: listen, and let the workers load while the supervisor does."""

import logging
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress

from hubgate.control.handover import Handover
from hubgate.control.listening import activation
from hubgate.control.listening.descriptors import check_descriptor_limit, raise_descriptor_limit
from hubgate.control.listening.listeners import Listeners
from hubgate.control.workers.spawn import SpawnedWorker, spawn_worker
from hubgate.errors import ConfigError
from hubgate.keeper import KeeperClient
from hubgate.settings import Settings
from hubgate.worker.messages import InheritedSocket

log = logging.getLogger("hubgate.supervisor")


class Bootstrap:
    """The open listeners, the sockets each worker inherits, and the workers `spawned` so far.

    The ports come first: after a crash, browsers then wait while the rest loads instead of
    failing. What an older release handed over, `received`, stays in use. Raises ConfigError.
    """

    def __init__(self, settings: Settings, received: Handover | None = None) -> None:
        raise_descriptor_limit()
        if received is None:
            check_descriptor_limit(settings.workers)
        keeper = _keeper_client(received)
        handed = (
            received.listeners if received else activation.inherited(settings, os.environ, keeper)
        )
        self.listeners = Listeners(settings, handed)
        activation.lend_to_keeper(keeper, self.listeners)
        self.sockets: Sequence[Sequence[InheritedSocket]] = [
            self.listeners.of_worker(index) for index in range(settings.workers)
        ]
        self.spawned: dict[int, SpawnedWorker] = {}

    def __repr__(self) -> str:
        return f"<Bootstrap workers={len(self.sockets)} spawned={len(self.spawned)}>"

    def spawn_workers(self) -> None:
        """Start the workers; from now on a signal ends this process as it would a supervisor."""
        pending: list[int] = []
        # Not while one is being spawned: a worker not yet recorded would be left behind.
        _on_end(lambda number, _: pending.append(number))
        with suppress(OSError):  # the supervisor tries again, and reports what is wrong
            for index, sockets in enumerate(self.sockets):
                self.spawned[index] = spawn_worker(index, sockets)
        _on_end(_end)
        if pending:
            raise SystemExit(0)

    def close(self) -> None:
        """Free every port, and end the workers the pool has not taken over."""
        self.listeners.close()
        for spawned in self.spawned.values():
            spawned.end()


def _keeper_client(received: Handover | None) -> KeeperClient | None:
    """Connect to the keeper; in an upgrade, one that does not answer is not fatal."""
    try:
        return KeeperClient.connect(os.environ)
    except ConfigError as error:
        if received is None:
            raise
        log.error("upgrading without the hub: %s", error)
        return None


def _on_end(handler: Callable[[int, object], None]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


def _end(number: int, _: object) -> None:
    raise SystemExit(0)
