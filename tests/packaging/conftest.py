"""The copy that everything is built from, and what is built."""

from pathlib import Path

import pytest

from tests.packaging import source
from tests.packaging.source import Distributions


@pytest.fixture(scope="session")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what git tracks."""
    return source.copy(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="session")
def distributions(copied: Path, tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """The source distribution and the wheel."""
    return source.build(copied, tmp_path_factory.mktemp("dist"))
