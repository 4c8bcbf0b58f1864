"""Killed amid changes, again and again: what was acknowledged is there, and no change is half done.

HUBGATE_CRASH_ROUNDS sets how many rounds there are: some by default, 50 before a release.
"""

import asyncio
import json
import os
import random
from functools import partial
from pathlib import Path

import pytest

from hubgate.tasks import spawn
from tests.cluster import Replica, cluster, come_true
from tests.processes import kill, workers_of
from tests.redis_server import RedisServer
from tests.writers import Writer, admit, crowd, numbers

ROUNDS = int(os.environ.get("HUBGATE_CRASH_ROUNDS", "20"))
CLIENTS = 8
OPTIONS = {"wait": 0.2, "lease": 1, "settle": 0.5}

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120 + 20 * ROUNDS)]


async def crash(live: Replica, writers: list[Writer]) -> None:
    """Kill it at a random moment while all clients change routes through it."""
    never = asyncio.Event()
    churning = [spawn(each.churn(live, never, stubborn=False), each.name) for each in writers]
    before = sum(each.answers for each in writers)

    async def busy() -> bool:
        return sum(each.answers for each in writers) >= before + CLIENTS

    await come_true(busy)
    await asyncio.sleep(random.uniform(0, 0.3))
    assert live.process is not None
    how = random.choice(["supervisor", "everything", "a worker first"])
    if how == "a worker first":  # changes go on without it
        kill(workers_of(live.process)[:1])
        await asyncio.sleep(random.uniform(0, 0.2))
    await asyncio.to_thread(live.kill, how == "everything")
    await asyncio.gather(*churning)


async def check(other: Replica, redis: RedisServer, writers: list[Writer]) -> None:
    """Fail unless the other one has what clients were told, as soon as it has read all."""
    redis.ask("PING")  # behind whatever the killed one has sent
    revision = redis.revision()

    async def has_read() -> bool:
        reply = await other.ask("GET", "/api/replicas")
        if reply.status != 200:
            return False  # it has just been started
        (own,) = (
            each["revision"]
            for each in json.loads(reply.body)["replicas"]
            if each["name"] == other.name
        )
        return own is not None and own >= revision

    await come_true(has_read)
    found = numbers(await other.ask("GET", "/api/routes"))
    for each in writers:
        each.check(found)


async def test_no_acknowledged_change_is_lost_and_none_is_half_done(
    tmp_path: Path, redis: RedisServer
) -> None:
    # Each has keys of its own, and nobody else writes them.
    writers = crowd(CLIENTS)
    unanswered = 0
    admitted = partial(admit, writers=writers)
    with cluster(tmp_path, redis.url, workers=2, place=admitted, replicas=OPTIONS) as replicas:
        await replicas.serve()
        for number in range(ROUNDS):
            # The next one was killed two rounds ago, and has had time to start.
            live, following = replicas[number % 3], replicas[(number + 1) % 3]
            await crash(live, writers)
            unanswered += sum(each.doubtful is not None for each in writers)
            await following.serves()
            await check(following, redis, writers)
            live.start()
        await replicas.serve()
        for each in replicas:
            await check(each, redis, writers)
        await replicas.agree(redis.table(), 5)
    assert unanswered  # or it was not killed amid anything


async def test_nor_with_a_file_of_its_own(tmp_path: Path) -> None:
    writers = crowd(CLIENTS)
    unanswered = 0
    admitted = partial(admit, writers=writers)
    with cluster(tmp_path, "sqlite:routes.db", 1, workers=2, place=admitted) as alone:
        (live,) = alone
        for _ in range(ROUNDS):
            await live.serves()
            found = numbers(await live.ask("GET", "/api/routes"))
            for each in writers:
                each.check(found)
            await crash(live, writers)
            unanswered += sum(each.doubtful is not None for each in writers)
            live.start()
        await live.serves()
        found = numbers(await live.ask("GET", "/api/routes"))
        for each in writers:
            each.check(found)
    assert unanswered
