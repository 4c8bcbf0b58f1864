"""A Redis for each test, and stores that follow it as the routes service does."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.redis_server import RedisServer, redis_server
from tests.store.redis.following import Following
from tests.store.redis.whole_services import Pair, Replica

Start = Callable[..., Following]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path / "redis") as running:
        yield running


@pytest_asyncio.fixture
async def follow(server: RedisServer) -> AsyncIterator[Start]:
    """Make stores by name; all are closed at the end."""
    made: list[Following] = []

    def make(name: str, **options: float) -> Following:
        one = Following(server.url, name, **options)
        made.append(one)
        return one

    yield make
    for one in made:
        await one.close()


@pytest_asyncio.fixture
async def replicas(server: RedisServer) -> AsyncIterator[Pair]:
    pair = Replica(server.url, "a"), Replica(server.url, "b")
    for each in pair:
        await each.start()
    yield pair
    for each in pair:
        await each.service.close()
