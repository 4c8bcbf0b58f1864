"""A supervisor that hands over while its API is asked for something."""

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from hubgate.control.bootstrap import Bootstrap
from hubgate.control.handover import HandedWorker
from hubgate.control.listening.listeners import Listeners
from hubgate.control.reload import Outcome, Parts, Reloader
from hubgate.control.routes.service import RouteService
from hubgate.control.supervisor import Supervisor
from hubgate.control.upgrade import signals
from hubgate.control.web.endpoint import Endpoint
from hubgate.control.web.guard import Guard
from hubgate.control.workers.pool import WorkerPool
from hubgate.settings import Settings
from tests.control.recording import RecordingStore, RecordingWorkers
from tests.control.routes.shared_table import SharedStore, SharedTable
from tests.control.serving import PATIENCE
from tests.control.waiting import until

SETTINGS = Settings(store="memory:")
NOTHING_OPEN = cast(Bootstrap, SimpleNamespace(listeners=None))


class NoListeners:
    def hand_over(self) -> tuple[()]:
        return ()

    def leave(self) -> None:
        pass


class NoWorkers:
    revision = 7

    async def hand_over(self) -> list[HandedWorker]:
        return []


class AskedToReload:
    """An endpoint that gets a reload to do just when it is suspended."""

    def __init__(self, reloader: Reloader) -> None:
        self.outcome: Outcome | None = None
        self._reloader = reloader

    async def suspend(self) -> None:
        self.outcome = await self._reloader.reload()


async def hold_no_signals() -> None:
    pass


async def test_a_reload_that_comes_meanwhile_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "hold_signals", hold_no_signals)
    supervisor = Supervisor(SETTINGS, lambda: SETTINGS, NOTHING_OPEN, 0.0)
    service = RouteService(RecordingStore(), RecordingWorkers())
    await service.open((), ())
    pool = cast(WorkerPool, NoWorkers())
    reloader = Reloader(SETTINGS, lambda: SETTINGS, Parts(service, pool, (), Guard(None)), {})
    supervisor._reloader = reloader
    endpoint = AskedToReload(reloader)
    endpoints = [cast(Endpoint, endpoint)]
    handing = supervisor._hand_over(cast(Listeners, NoListeners()), endpoints, pool, service)
    handover = await asyncio.wait_for(handing, PATIENCE)
    assert endpoint.outcome == Outcome()
    assert handover.revision == 7


async def test_workers_are_given_away_only_when_no_change_of_others_can_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(signals, "hold_signals", hold_no_signals)
    store = SharedStore(SharedTable())
    service = RouteService(store, RecordingWorkers())
    await service.open((), ())
    await until(lambda: store.following)

    class Workers(NoWorkers):
        async def hand_over(self) -> list[HandedWorker]:
            assert not store.following
            return []

    supervisor = Supervisor(SETTINGS, lambda: SETTINGS, NOTHING_OPEN, 0.0)
    pool = cast(WorkerPool, Workers())
    parts = Parts(service, pool, (), Guard(None))
    supervisor._reloader = Reloader(SETTINGS, lambda: SETTINGS, parts, {})
    await supervisor._hand_over(cast(Listeners, NoListeners()), [], pool, service)
    assert store.closed
