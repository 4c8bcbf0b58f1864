"""One of three replicas is upgraded while routes are added: its lease and its name go on."""

import asyncio
import itertools
from pathlib import Path

import pytest

from hubgate.tasks import spawn
from tests.cluster import Cluster, cluster, upgraded
from tests.redis_server import RedisServer

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]


async def add_until(replicas: Cluster, ended: asyncio.Event, prefix: str, target: str) -> int:
    """Add routes through the first, and ask for each through the one that is upgraded at once."""
    for number in itertools.count():
        if ended.is_set():
            return number
        path = f"/{prefix}/{number}"
        reply = await replicas[0].ask("POST", f"/api/routes{path}", {"target": target})
        assert (reply.status, reply.missing) == (201, ()), reply
        statuses = [await replicas[1].get(path) for _ in range(3)]
        assert statuses == [200] * 3, path
    raise AssertionError


async def watch_lease(redis: RedisServer, ended: asyncio.Event) -> int:
    """Look at the lease again and again; return how often. Fails if there is none."""
    for looked in itertools.count():
        if ended.is_set():
            return looked
        answer = await asyncio.to_thread(
            redis.ask, "ZRANGEBYSCORE hubgate:leases -inf +inf WITHSCORES"
        )
        assert b"two" in answer, answer
        await asyncio.sleep(0.05)
    raise AssertionError


async def test_an_upgrade_under_adds(tmp_path: Path, redis: RedisServer, target: str) -> None:
    options = {"wait": 30, "lease": 3}
    with cluster(tmp_path, redis.url, workers=2, replicas=options) as replicas:
        await replicas.serve()
        instance = redis.ask("HGET hubgate:replicas two")
        ended = asyncio.Event()
        adding = [
            spawn(add_until(replicas, ended, prefix, target), "adding") for prefix in ("x", "y")
        ]
        watching = spawn(watch_lease(redis, ended), "watching")
        await asyncio.sleep(0.3)
        await upgraded(replicas[1])
        await asyncio.sleep(0.3)
        ended.set()
        assert all([await each for each in adding])
        assert await watching
        assert redis.ask("HGET hubgate:replicas two") != instance
        assert "another hubgate has the name" not in replicas[1].log
        await replicas.agree()
        assert (await replicas.add("/last", target, through=1)).missing == ()
