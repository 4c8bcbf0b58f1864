"""Fixtures: each proxy runs once and serves all entries."""

from collections.abc import Iterator

import pytest

from tests.hostile import stage
from tests.hostile.stage import Stage


@pytest.fixture(scope="session")
def drop_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Return the drop-in command on plain HTTP."""
    with stage.drop_in(tmp_path_factory.mktemp("drop-in")) as running:
        yield running


@pytest.fixture(scope="session")
def native(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Return `proxyctl serve` on plain HTTP."""
    with stage.native(tmp_path_factory.mktemp("native")) as running:
        yield running


@pytest.fixture(scope="session")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Return the drop-in command on HTTPS."""
    with stage.secure(tmp_path_factory.mktemp("secure")) as running:
        yield running
