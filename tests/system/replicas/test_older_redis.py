"""Redis comes back older than 100 removals and 100 adds, and first of all to one that slept."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.answering import Readers, reading
from tests.cluster import Cluster, Replica, cluster, come_true
from tests.redis_server import RedisServer

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]

STAYS = [f"/stays/{number}" for number in range(5)]
OLD = [f"/old/{number}" for number in range(100)]
NEW = [f"/new/{number}" for number in range(100)]
OPTIONS = {"wait": 0.2, "lease": 1.5, "settle": 0.5}


async def change(replicas: Iterable[Replica], method: str, paths: list[str], data: object) -> None:
    """Make 100 changes, through one replica after the other."""
    through = [*replicas]

    async def some(first: int) -> None:
        for number in range(first, len(paths), 4):
            path = f"/api/routes{paths[number]}"
            reply = await through[number % len(through)].ask(method, path, data)
            assert reply.status in (201, 204), reply

    await asyncio.gather(*(some(first) for first in range(4)))


async def outdate(replicas: Cluster, redis: RedisServer, target: str) -> None:
    """Have Redis keep a table on its disk that 100 removals and 100 adds follow.

    The third replica sleeps since before them.
    """
    await replicas.serve()
    await change(replicas, "POST", [*STAYS, *OLD], {"target": target})
    await replicas.agree()
    assert redis.ask("SAVE").startswith(b"+OK")
    replicas[2].freeze()
    await asyncio.sleep(OPTIONS["lease"])  # nobody waits for it from then on
    await change(replicas.replicas[:2], "DELETE", OLD, None)
    await change(replicas.replicas[:2], "POST", NEW, {"target": target})


def expect_the_new(readers: Readers) -> None:
    """From now on all new routes have to work, and no old one may."""
    readers.paths += NEW
    readers.gone += OLD


async def test_the_first_one_back_has_slept_since_before(
    tmp_path: Path, redis: RedisServer, target: str
) -> None:
    with cluster(tmp_path, redis.url, replicas=OPTIONS) as replicas:
        one, two, sleeper = replicas
        await outdate(replicas, redis, target)
        async with reading([one, two], STAYS) as readers:
            expect_the_new(readers)
            await readers.more()
            redis.kill()
            for each in (one, two):
                each.freeze(workers=False)
            redis.start()
            sleeper.thaw()
            await replicas.add("/meanwhile", target, through=2)
            for each in (one, two):
                each.thaw()
            wanted = dict.fromkeys([*STAYS, *NEW, "/meanwhile"], target)
            await replicas.agree(wanted, 5)
            assert redis.table() == wanted
            readers.read(sleeper.name, sleeper.get)
            await readers.more()


async def test_all_are_back_at_once(tmp_path: Path, redis: RedisServer, target: str) -> None:
    with cluster(tmp_path, redis.url, replicas=OPTIONS) as replicas:
        await outdate(replicas, redis, target)
        async with reading(replicas.replicas[:2], STAYS) as readers:
            expect_the_new(readers)
            redis.kill()
            redis.start()
            replicas[2].thaw()
            wanted = dict.fromkeys([*STAYS, *NEW], target)

            async def settled() -> bool:
                return redis.table() == wanted

            await come_true(settled, 5)
            await replicas.agree(wanted, 5)
            await readers.more()
