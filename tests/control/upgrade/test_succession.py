"""Settings that went bad between a rehearsal and the upgrade itself."""

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from hubgate.control.upgrade import succession
from hubgate.control.upgrade.memory_file import memory_file
from hubgate.control.upgrade.signals import SUPERVISOR_SIGNALS
from hubgate.errors import ConfigError, UpgradeError
from hubgate.settings import Settings


def mended_after(times: int) -> Callable[[], Settings]:
    """Return what reads settings with a mistake, so many times."""
    left = iter(range(times))

    def read() -> Settings:
        if next(left, None) is not None:
            raise ConfigError("routes.yaml: half of it is missing")
        return Settings()

    return read


@pytest.fixture
def handed() -> Iterator[int]:
    """The descriptor of a file in memory."""
    with memory_file("test") as file:
        yield file.fileno()


def test_mistakes_in_an_upgrade_are_waited_for(
    handed: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(succession, "LOOK_AGAIN", 0.001)
    monkeypatch.setenv(succession.HANDOVER, str(handed))
    assert succession.read_settings(mended_after(3)) == Settings()
    [line] = caplog.messages
    assert line == "the upgrade waits until this is fixed: routes.yaml: half of it is missing"


def test_mistakes_in_a_start_end_it() -> None:
    with pytest.raises(ConfigError):
        succession.read_settings(mended_after(1))


@pytest.mark.usefixtures("signals_as_before")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_nobody_waits_who_is_told_to_end(
    number: signal.Signals, handed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(succession.HANDOVER, str(handed))
    signal.pthread_sigmask(signal.SIG_BLOCK, SUPERVISOR_SIGNALS)
    signal.raise_signal(number)
    with pytest.raises(ConfigError):
        succession.read_settings(mended_after(1))


@pytest.mark.parametrize("text", ["", "x", "-1", "0", "9" * 5000, "1000000", "PIPE"])
@pytest.mark.parametrize("variable", [succession.HANDOVER, succession.REHEARSAL])
def test_what_no_hubgate_has_left_is_not_used(
    variable: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = os.pipe()
    monkeypatch.setenv(variable, text.replace("PIPE", str(ends[1])))
    reads = [lambda: succession.read_settings(Settings), succession.receive_handover]
    for read in reads if variable == succession.HANDOVER else [succession.rehearsal]:
        with pytest.raises(UpgradeError, match=f"^{variable}: .+; unset it$") as raised:
            read()
        assert len(str(raised.value)) < 200
    for fd in ends:
        os.close(fd)
