"""Signals while one release goes and the next one comes."""

import asyncio
import signal
import threading

import pytest
import uvloop

from hubgate.control.upgrade import signals

pytestmark = pytest.mark.usefixtures("signals_as_before")


async def held(heard: list[int], then: signal.Signals) -> None:
    """Hold signals a moment after SIGTERM has come; `then` another one comes."""
    loop = asyncio.get_running_loop()
    for number in signals.SUPERVISOR_SIGNALS:
        loop.add_signal_handler(number, heard.append, number)
    signal.raise_signal(signal.SIGTERM)
    await signals.hold_signals()
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
                signal.pthread_sigmask(signal.SIG_UNBLOCK, signals.SUPERVISOR_SIGNALS),
                signal.pthread_kill(threading.get_ident(), signal.SIGUSR2),
            )
        )
        thread.start()
        thread.join()

    uvloop.run(get_one())
    assert signal.sigpending() == {signal.SIGHUP, signal.SIGUSR2}
