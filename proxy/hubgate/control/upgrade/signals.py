"""Keeping signals while no loop of the supervisor hears them: at the start, and in an upgrade."""

import signal
import threading

from hubgate.tasks import settle_arrivals

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2)
"""What a supervisor that serves has handlers for."""


async def hold_signals() -> None:
    """Keep signals that arrive from now on until `release_signals`, in whichever release.

    Those that came a moment before are heard by the handlers of the running loop, which has to
    end soon after. Blocking signals is not all: threads of ours may still be there, and get them
    instead.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    for number in HANDLED:
        signal.signal(number, _keep)
    # The loop's own are not removed: for a moment a signal would end the process.
    await settle_arrivals()


def keep_signal(number: signal.Signals) -> None:
    """Have the next release find a signal which we have heard but not followed."""
    _keep(number, None)


def hold_early_signals() -> None:
    """Keep, until `release_signals`, what would end a process that is only starting."""
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP, signal.SIGUSR2))


def release_signals() -> None:
    """Let signals come, those first that were held."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)


def _keep(number: int, _: object) -> None:
    # Blocked in the main thread, it is pending there; a new program keeps what is pending.
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, number)
