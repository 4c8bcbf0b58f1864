"""Holding signals while no event loop handles them: at the start, and during an upgrade."""

import signal
import threading

from hubgate.tasks import settle_arrivals
from hubgate.worker.lifeline import SUPERVISOR_SIGNALS


async def hold_signals() -> None:
    """Hold signals that arrive from now on until `release_signals`, in whichever release.

    Signals that arrived just before still reach the running loop's handlers; the loop must end
    soon after. Blocking them is not enough: other threads of ours may still exist and receive
    them instead.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, SUPERVISOR_SIGNALS)
    for number in SUPERVISOR_SIGNALS:
        signal.signal(number, _keep)
    # The loop's handlers are not removed: for a moment a signal would end the process.
    await settle_arrivals()


def keep_signal(number: signal.Signals) -> None:
    """Pass on to the next release a signal that we received but did not act on."""
    _keep(number, None)


def release_signals() -> None:
    """Deliver signals again, the held ones first."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SUPERVISOR_SIGNALS)


def _keep(number: int, _: object) -> None:
    # Blocked in the main thread, it stays pending there; exec keeps pending signals.
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, number)
