"""Targets, connections to them, and lookups of their names."""

from collections.abc import Iterator

import pytest

from hubgate.upstream.resolver import Resolver
from tests.dataplane.conftest import (
    certificates,
    nothing_failed_in_silence,
    pytest_asyncio_loop_factories,
    refusing,
    server_tls,
    start_target,
    target,
)
from tests.upstream.lookups import Lookups

__all__ = [
    "certificates",
    "nothing_failed_in_silence",
    "pytest_asyncio_loop_factories",
    "refusing",
    "server_tls",
    "start_target",
    "target",
]


@pytest.fixture
def lookups() -> Iterator[Lookups]:
    """Names that a test decides about; whoever still waits for one goes on in the end."""
    lookups = Lookups()
    yield lookups
    lookups.wake()


@pytest.fixture
async def resolver(lookups: Lookups) -> Resolver:
    """A resolver that asks `lookups`."""
    return Resolver(lookups)
