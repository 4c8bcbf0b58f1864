"""A Redis for each test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.answering import answering
from tests.redis_server import RedisServer, redis_server


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path / "redis") as running:
        yield running


@pytest.fixture
async def target() -> AsyncIterator[str]:
    async with answering() as url:
        yield url
