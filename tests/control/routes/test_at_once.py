"""Where nothing has to be waited for but the workers: routes in memory."""

import asyncio

import pytest

from hubgate.control.routes.bulk_changes import BulkChange
from hubgate.control.routes.live_table import LiveTable
from hubgate.control.routes.rows import row
from hubgate.control.routes.service import RouteService
from hubgate.errors import RouteNotFoundError
from hubgate.model import Route, Source
from hubgate.store.memory import MemoryStore
from hubgate.tasks import spawn
from tests.control.recording import RecordingWorkers

ALICE = Route("/user/alice", "http://127.0.0.1:9001")
BOB = Route("/user/bob", "http://127.0.0.1:9002")


async def test_memory_is_not_waited_for_but_workers_are() -> None:
    workers = RecordingWorkers()
    service = RouteService(MemoryStore(), workers)
    await service.open((), ())
    workers.gate.clear()
    adding = spawn(service.add(ALICE), "add")
    await asyncio.sleep(0)
    with pytest.raises(RouteNotFoundError):
        await service.remove("/none")
    assert [put[0].key for put, _ in workers.changes] == [ALICE.key]
    assert not adding.done()
    workers.gate.set()
    assert await adding == ()


async def test_a_route_whose_caller_is_gone_is_waited_for_by_who_posts_it_again() -> None:
    workers = RecordingWorkers()
    service = RouteService(MemoryStore(), workers)
    await service.open((), ())
    workers.gate.clear()
    adding = spawn(service.add(ALICE), "add")
    await asyncio.sleep(0)
    adding.cancel()
    await asyncio.wait({adding})
    again = spawn(service.add(ALICE), "add again")
    for _ in range(5):
        await asyncio.sleep(0)
    assert service.get(ALICE.key).route.target == ALICE.target
    assert not again.done()
    workers.gate.set()
    await again


async def test_a_route_added_amid_a_large_change_comes_after_it() -> None:
    workers = RecordingWorkers()
    service = RouteService(MemoryStore(), workers)
    await service.open((), ())
    planned = asyncio.Event()

    async def plan(_: LiveTable) -> BulkChange:
        await planned.wait()
        return BulkChange([row(BOB, Source.API)])

    changing = spawn(service.change(plan), "change")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    adding = spawn(service.add(ALICE), "add")
    await asyncio.sleep(0)
    planned.set()
    await changing
    await adding
    assert [put[0].key for put, _ in workers.changes] == [BOB.key, ALICE.key]
