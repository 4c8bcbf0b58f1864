"""Settings that went bad between a rehearsal and the upgrade itself."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hubgate.control.upgrade import succession
from hubgate.control.upgrade.memory_file import memory_file
from hubgate.control.upgrade.signals import SUPERVISOR_SIGNALS
from hubgate.errors import ConfigError, UpgradeError
from hubgate.settings import Settings
from tests.control.handed import nothing
from tests.environment import clean_environment

NOTHING = nothing("1")


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


@pytest.mark.processes
@pytest.mark.parametrize(
    "command", [("hubgate", "serve"), ("hubgate.cli.chp", "--ssl-allow-rc4", "--port=0")]
)
def test_a_rehearsal_that_goes_well_says_nothing(command: tuple[str, ...], tmp_path: Path) -> None:
    """What it says becomes the reason why an upgrade cannot be."""
    (tmp_path / "routes.yaml").write_text("log_format: json\nlog_level: debug\n")
    module, *args = command
    with memory_file("test") as answer:
        done = subprocess.run(
            [sys.executable, "-P", "-m", module, *args],
            cwd=tmp_path,
            env=clean_environment(
                {
                    "XDG_STATE_HOME": str(tmp_path),
                    "HUBGATE_PROT": "1",  # a warning at every start
                    succession.REHEARSAL: str(answer.fileno()),
                }
            ),
            pass_fds=[answer.fileno()],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        answer.seek(0)
        assert b"handover" in answer.read()
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


@pytest.mark.parametrize("rehearsal", [True, False])
def test_a_rehearsal_logs_errors_as_text_whatever_the_settings(
    rehearsal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are a part of the sentence that says why an upgrade cannot be."""
    called: list[tuple[str, ...]] = []
    monkeypatch.setattr(succession, "configure_logging", lambda *args: called.append(args))
    if rehearsal:
        monkeypatch.setenv(succession.REHEARSAL, "7")
    succession.configure_log(Settings(log_level="debug", log_format="json"))
    assert called == [("error",) if rehearsal else ("debug", "json")]


def test_the_log_is_written_before_the_next_release_is_told_what_was_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[str] = []

    def unwritten() -> int:
        done.append("counted")
        return 0

    def execve(*_: object) -> None:
        done.append("replaced")
        raise OSError("not in a test")

    monkeypatch.setattr(succession, "settle", lambda: done.append("written"))
    monkeypatch.setattr(succession, "unwritten_lines", unwritten)
    monkeypatch.setattr(os, "execve", execve)
    succession.exec_next_release(NOTHING)
    assert done == ["written", "counted", "replaced"]
