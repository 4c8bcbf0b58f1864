"""A change is answered when every live replica's workers have it, and names those that do not."""

import asyncio
import itertools
from pathlib import Path

import pytest

from tests.cluster import Cluster, cluster, come_true
from tests.redis_server import RedisServer

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]

ADDS = 1000
AT_ONCE = 8
WAIT = 0.5
# A machine that is busy answers this many seconds late.
LATE = 5.0


async def add_and_ask(replicas: Cluster, numbers: "itertools.count[int]", target: str) -> None:
    """Add routes through the first, and ask for each through the others at once."""
    while (number := next(numbers)) < ADDS:
        reply = await replicas[0].ask("POST", f"/api/routes/user/{number}", {"target": target})
        assert (reply.status, reply.missing) == (201, ()), (number, reply)
        other = replicas[1 + number % 2]
        assert await other.get(f"/user/{number}") == 200, (number, other.name)


async def test_a_thousand_adds_through_one_are_served_by_the_others(
    tmp_path: Path, redis: RedisServer, target: str
) -> None:
    with cluster(tmp_path, redis.url, workers=2, replicas={"wait": 30}) as replicas:
        await replicas.serve()
        numbers = itertools.count()
        await asyncio.gather(*(add_and_ask(replicas, numbers, target) for _ in range(AT_ONCE)))
        await replicas.agree({f"/user/{number}": target for number in range(ADDS)})


async def test_one_that_is_stopped_is_named_until_its_lease_ends(
    tmp_path: Path, redis: RedisServer, target: str
) -> None:
    options = {"wait": WAIT, "lease": 4}
    with cluster(tmp_path, redis.url, workers=2, replicas=options) as replicas:
        await replicas.serve()
        assert (await replicas.add("/before", target)).missing == ()
        replicas[2].freeze()
        named = 0
        for number in itertools.count():
            reply = await replicas[0].ask("POST", f"/api/routes/{number}", {"target": target})
            assert reply.status == 201
            assert await replicas[1].get(f"/{number}") == 200
            if not reply.missing:
                break
            assert reply.missing == ("three",)
            assert WAIT <= reply.seconds < WAIT + LATE
            named += 1
        assert named
        # From now on nobody waits for it, nor is it named.
        quickest = [await replicas.add(f"/later/{number}", target) for number in range(5)]
        assert {reply.missing for reply in quickest} == {()}
        assert min(reply.seconds for reply in quickest) < WAIT
        replicas[2].thaw()
        await replicas.agree()

        async def waited_for() -> bool:
            """It has a lease again, serves what it had missed, and is not named."""
            reply = await replicas.add("/again", target)
            return reply.missing == () and await replicas[2].get("/again") == 200

        await come_true(waited_for)
        assert (await replicas.add("/last", target)).missing == ()
