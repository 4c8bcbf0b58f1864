"""What tests of a command line need: logging as it was before, no settings from outside."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certificates.made import Files, make_files
from tests.cli.drop import Drop
from tests.cli.running import FILE, PROXYCTL, TOKEN, Proxy, running
from tests.environment import OURS


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("hubgate")
    before = root.handlers[:], root.level, ours.handlers[:], ours.level
    yield
    root.handlers[:], root.level, ours.handlers[:], ours.level = before


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(OURS):
            monkeypatch.delenv(name)


@pytest.fixture
def drop(monkeypatch: pytest.MonkeyPatch) -> Drop:
    return Drop(monkeypatch)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return make_files(tmp_path)


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    """Run `proxyctl serve` with a routes.yaml and a token."""
    (tmp_path / "routes.yaml").write_text(FILE)
    with running(tmp_path, PROXYCTL, "serve", env=TOKEN) as proxy:
        assert proxy.api_url
        yield proxy
