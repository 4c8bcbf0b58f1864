"""Each cell of the table in docs/high-availability.md: what is lost when something dies."""

import asyncio
from pathlib import Path

import pytest

from tests.answering import reading
from tests.cluster import Cluster, cluster
from tests.redis_server import RedisServer
from tests.writers import all_there, more, writing

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]

AOF = ("--appendonly", "yes", "--appendfsync")
KINDS = {
    "nothing": (),
    "snapshots": (),
    "everysec": (*AOF, "everysec"),
    "always": (*AOF, "always"),
}
STAYS = [f"/stays/{number}" for number in range(5)]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, redis: RedisServer) -> str:
    """How the Redis of this test persists."""
    kept = str(request.param)
    if flags := KINDS[kept]:
        redis.kill()
        redis.flags = flags
        redis.start()
    return kept


def restart(redis: RedisServer, kind: str) -> None:
    """Kill Redis, and start it with what it has kept."""
    redis.kill()
    if kind == "nothing":
        redis.forget()
    redis.start()


async def begin(replicas: Cluster, target: str) -> None:
    """Add the routes that stay, as soon as all serve."""
    await replicas.serve()
    for path in STAYS:
        await replicas.add(path, target)


async def test_a_hubgate_dies(tmp_path: Path, redis: RedisServer, kind: str, target: str) -> None:
    with cluster(tmp_path, redis.url, count=2) as replicas:
        await begin(replicas, target)
        one, other = replicas
        async with writing([other]) as others:
            async with reading([other], STAYS), writing([one]) as writers:
                await more(writers)
                one.kill()
                await more(others)
                one.start()
                await more(writers)
            await more(others)
        await all_there([*writers, *others], replicas)
        await replicas.agree(redis.table())


async def test_redis_dies(tmp_path: Path, redis: RedisServer, kind: str, target: str) -> None:
    with cluster(tmp_path, redis.url) as replicas:
        await begin(replicas, target)
        async with reading(replicas, STAYS) as readers, writing(replicas) as writers:
            await more(writers)
            if kind == "snapshots":
                assert redis.ask("SAVE").startswith(b"+OK")
                await more(writers)
            restart(redis, kind)
            await more(writers)
            await readers.more()
        await all_there(writers, replicas)
        await replicas.agree(redis.table(), 5)


async def test_all_die_at_once(tmp_path: Path, redis: RedisServer, kind: str, target: str) -> None:
    with cluster(tmp_path, redis.url, count=2) as replicas:
        await begin(replicas, target)
        if kind == "snapshots":
            assert redis.ask("SAVE").startswith(b"+OK")
        await replicas.add("/late", target)
        for each in replicas:
            each.kill()
        restart(redis, kind)
        replicas.start()
        await replicas.serve()
        kept = {
            "nothing": [],
            "snapshots": STAYS,
            "everysec": [*STAYS, "/late"],
            "always": [*STAYS, "/late"],
        }[kind]
        await replicas.agree(dict.fromkeys(kept, target))
        await replicas.add("/again", target)
        await replicas.agree(dict.fromkeys([*kept, "/again"], target))


async def test_all_and_the_machine_of_redis_die_at_once(
    tmp_path: Path, redis: RedisServer, target: str
) -> None:
    """What a log that is written every second has lost then, is what came last."""
    redis.kill()
    redis.flags = KINDS["everysec"]
    redis.start()
    with cluster(tmp_path, redis.url, count=2) as replicas:
        await begin(replicas, target)
        await asyncio.to_thread(redis.keep, tmp_path / "on disk")
        await replicas.add("/late", target)
        for each in replicas:
            each.kill()
        redis.kill()
        redis.restore(tmp_path / "on disk")
        redis.start()
        replicas.start()
        await replicas.serve()
        await replicas.agree(dict.fromkeys(STAYS, target))
