"""Settings that went bad between a rehearsal and the upgrade itself."""

import signal
from collections.abc import Callable

import pytest

from hubgate.control.upgrade import succession
from hubgate.control.upgrade.signals import SUPERVISOR_SIGNALS
from hubgate.errors import ConfigError
from hubgate.settings import Settings


def mended_after(times: int) -> Callable[[], Settings]:
    """Return what reads settings with a mistake, so many times."""
    left = iter(range(times))

    def read() -> Settings:
        if next(left, None) is not None:
            raise ConfigError("routes.yaml: half of it is missing")
        return Settings()

    return read


def test_mistakes_in_an_upgrade_are_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(succession, "LOOK_AGAIN", 0.001)
    monkeypatch.setenv(succession.HANDOVER, "3")
    assert succession.read_settings(mended_after(3)) == Settings()
    [line] = caplog.messages
    assert line == "the upgrade waits until this is fixed: routes.yaml: half of it is missing"


def test_mistakes_in_a_start_end_it() -> None:
    with pytest.raises(ConfigError):
        succession.read_settings(mended_after(1))


@pytest.mark.usefixtures("signals_as_before")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_nobody_waits_who_is_told_to_end(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(succession.HANDOVER, "3")
    signal.pthread_sigmask(signal.SIG_BLOCK, SUPERVISOR_SIGNALS)
    signal.raise_signal(number)
    with pytest.raises(ConfigError):
        succession.read_settings(mended_after(1))
