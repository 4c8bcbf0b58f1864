"""Signals that arrive before a command of ours is loaded, which takes a good part of a second.

Nothing but `signal` is imported here: until it is, Ctrl-C is a traceback, and SIGHUP the end.
"""

import os
import signal

INTERRUPTED = 128 + signal.SIGINT

# What a running hubgate takes as a request, and any other process ends by.
_REQUESTS = (signal.SIGHUP, signal.SIGUSR2)
# Those that were held when we were started.
_before: "set[int] | None" = None


def hold_signals() -> None:
    """Let Ctrl-C end this process quietly, and keep requests to hubgate until it is up."""
    global _before
    on_interrupt(leave)
    _before = signal.pthread_sigmask(signal.SIG_BLOCK, _REQUESTS)


def let_requests_end_us() -> None:
    """Deliver requests to hubgate as to any program, as this is a command that ends by itself."""
    if _before is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, _before)


def on_interrupt(handler: "signal._HANDLER") -> None:
    """Handle SIGINT, unless it is ignored, as in a shell's background, or somebody else does."""
    if signal.getsignal(signal.SIGINT) in (signal.default_int_handler, leave, interrupt):
        signal.signal(signal.SIGINT, handler)


def leave(number: int, frame: object) -> None:
    """End at once: nothing has begun yet, or everything is done."""
    os._exit(INTERRUPTED)


def interrupt(number: int, frame: object) -> None:
    """End with what `finally` does; at once if asked a second time."""
    on_interrupt(leave)
    raise KeyboardInterrupt
