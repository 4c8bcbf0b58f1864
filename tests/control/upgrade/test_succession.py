"""Signals while one release goes and the next one comes."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator

import pytest
import uvloop

from hubgate.control.upgrade import succession
from hubgate.errors import ConfigError
from hubgate.settings import Settings


@pytest.fixture(autouse=True)
def signals_as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in succession.HANDLED}
    yield
    for number in succession.HANDLED:
        while number in signal.sigpending():
            signal.sigwait({number})
        signal.signal(number, before[number])
    succession.release_signals()


async def held(heard: list[int], then: signal.Signals) -> None:
    """Hold signals a moment after SIGTERM has come; `then` another one comes."""
    loop = asyncio.get_running_loop()
    for number in succession.HANDLED:
        loop.add_signal_handler(number, heard.append, number)
    signal.raise_signal(signal.SIGTERM)
    await succession.hold_signals()
    signal.raise_signal(then)


@pytest.mark.parametrize("then", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("run", [uvloop.run, asyncio.run])
def test_none_is_lost_when_they_are_held(run: object, then: signal.Signals) -> None:
    heard: list[int] = []
    run(held(heard, then))  # type: ignore[operator]
    assert heard == [signal.SIGTERM], "it came before"
    assert signal.sigpending() == {then}


def test_one_that_another_thread_gets_is_kept() -> None:
    async def get_one() -> None:
        await held([], signal.SIGHUP)
        # A thread inherits what is blocked.
        thread = threading.Thread(
            target=lambda: (
                signal.pthread_sigmask(signal.SIG_UNBLOCK, succession.HANDLED),
                signal.pthread_kill(threading.get_ident(), signal.SIGUSR2),
            )
        )
        thread.start()
        thread.join()

    uvloop.run(get_one())
    assert signal.sigpending() == {signal.SIGHUP, signal.SIGUSR2}


# --- settings that went bad meanwhile --------------------------------------------------------


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
    assert line == "the upgrade waits until this is mended: routes.yaml: half of it is missing"


def test_mistakes_in_a_start_end_it() -> None:
    with pytest.raises(ConfigError):
        succession.read_settings(mended_after(1))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_nobody_waits_who_is_told_to_end(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(succession.HANDOVER, "3")
    signal.pthread_sigmask(signal.SIG_BLOCK, succession.HANDLED)
    signal.raise_signal(number)
    with pytest.raises(ConfigError):
        succession.read_settings(mended_after(1))
