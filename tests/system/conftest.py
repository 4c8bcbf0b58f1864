"""What several tests of whole proxies start from."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.system.load import Tunnels, echo_target
from tests.system.upgrading import Code


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Code:
    code = Code(tmp_path / "code")
    monkeypatch.setenv("PYTHONPATH", str(code.folder))
    return code


@pytest.fixture
async def target() -> AsyncIterator[str]:
    async with echo_target() as url:
        yield url


@pytest.fixture
async def tunnels() -> AsyncIterator[Tunnels]:
    tunnels = Tunnels()
    yield tunnels
    await tunnels.close()
