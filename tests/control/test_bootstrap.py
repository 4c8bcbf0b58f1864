"""What a start, or an upgrade, does first."""

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hubgate import keeper
from hubgate.control import bootstrap as bootstrap_module
from hubgate.control.bootstrap import Bootstrap
from hubgate.errors import ConfigError
from tests.control.handed import nothing
from tests.control.launched import SETTINGS

LEFT = nothing("0.1.0")


@pytest.fixture
def silent_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A keeper that lets everybody in and says nothing."""
    monkeypatch.setattr(keeper, "TIMEOUT", 0.1)
    monkeypatch.setattr(bootstrap_module, "raise_descriptor_limit", lambda: None)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "k"))
        silent.listen()
        monkeypatch.setenv(keeper.VARIABLE, str(tmp_path / "k"))
        yield


@pytest.mark.usefixtures("silent_hub")
def test_a_hub_that_does_not_answer_ends_no_upgrade(caplog: pytest.LogCaptureFixture) -> None:
    with closing(Bootstrap(SETTINGS, LEFT)) as upgraded:
        assert len(upgraded.sockets) == SETTINGS.workers
    [line] = caplog.messages
    assert line.startswith("upgrading without the hub: HUBGATE_KEEPER: ")


@pytest.mark.usefixtures("silent_hub")
def test_a_hub_that_does_not_answer_ends_a_start() -> None:
    with pytest.raises(ConfigError, match="HUBGATE_KEEPER"):
        Bootstrap(SETTINGS)
