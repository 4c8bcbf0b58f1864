"""When a route was last active, on any replica; and routes that are posted again as they are."""

import time
from pathlib import Path

import pytest

from tests.clock import ProcessClock
from tests.cluster import Replica, cluster, come_true
from tests.redis_server import RedisServer

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]

DAY = 86400.0
# The API writes milliseconds.
ROUNDING = 0.001


def of_log(redis: RedisServer) -> tuple[bytes, bytes]:
    """Return how many entries the log of changes has, and the revision."""
    return redis.ask("XLEN hubgate:log"), redis.ask("HGET hubgate:meta revision")


def told(replica: Replica) -> int:
    """Return how many changes of routes its log tells of."""
    return replica.log.count("[hubgate.routes]")


async def known_by(replica: Replica, path: str, moment: float) -> None:
    """Wait until it knows that the route was active then, or later."""

    async def known() -> bool:
        return await replica.last_activity(path) >= moment - ROUNDING

    await come_true(known)


async def test_the_newest_of_all_replicas_is_known_to_all(
    tmp_path: Path, redis: RedisServer, target: str
) -> None:
    with cluster(tmp_path, redis.url, workers=2) as replicas:
        await replicas.serve()
        await replicas.add("/a", target)
        for used in (replicas[1], replicas[2]):
            moment = time.time()
            assert await used.get("/a") == 200
            for each in (used, *replicas):
                await known_by(each, "/a", moment)
        # A replica that starts knows it, too.
        replicas[0].kill()
        replicas[0].start()
        await replicas.serve()
        assert moment - ROUNDING <= await replicas[0].last_activity("/a") <= time.time()


async def test_a_clock_that_ran_ahead_does_not_stick(
    tmp_path: Path, redis: RedisServer, target: str
) -> None:
    (tmp_path / "clock").mkdir()
    clock = ProcessClock(tmp_path / "clock")

    def wind(replica: Replica) -> None:
        if replica.name == "two":
            replica.environment = clock.environment

    with cluster(tmp_path, redis.url, count=2, place=wind) as replicas:
        await replicas.serve()
        one, ahead = replicas
        await replicas.add("/a", target)
        clock.put(DAY)
        moment = time.time()
        assert await ahead.get("/a") == 200
        await known_by(ahead, "/a", moment)
        # It counts as activity of the moment at which Redis hears of it.
        await known_by(one, "/a", moment)
        assert await one.last_activity("/a") <= time.time() + 1

        async def stored() -> bool:
            return float(redis.ask("HGET hubgate:activity /a").split(b"\r\n")[1]) >= moment

        await come_true(stored)
        assert float(redis.ask("HGET hubgate:activity /a").split(b"\r\n")[1]) <= time.time()
        clock.put(0.0)
        ahead.kill()
        ahead.start()
        await replicas.serve()
        for each in replicas:
            assert await each.last_activity("/a") <= time.time() + 1


async def test_a_route_posted_again_writes_nothing_and_disturbs_nobody(
    tmp_path: Path, redis: RedisServer, target: str
) -> None:
    with cluster(tmp_path, redis.url, workers=2, replicas={"wait": 30}) as replicas:
        await replicas.serve()
        for number in range(10):
            await replicas.add(f"/{number}", target)
        await replicas.agree()
        before, lines = of_log(redis), [told(each) for each in replicas]
        for number in range(10):
            for through in range(3):
                reply = await replicas.add(f"/{number}", target, through)
                assert reply.missing == ()
                assert reply.seconds < 5
        assert of_log(redis) == before
        assert [told(each) for each in replicas] == lines
        # It counts as activity, on the others, too.
        moment = time.time()
        await replicas.add("/0", target, through=1)
        for each in replicas:
            await known_by(each, "/0", moment)
        assert of_log(redis) == before
