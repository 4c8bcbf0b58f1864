"""What ties a worker's life to its supervisor's, before and while the event loop runs."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def leave_signals_to_supervisor() -> None:
    """Ignore the signals that end, reload or upgrade a whole process group, such as Ctrl-C.

    The supervisor gets them too, and tells its workers over the link what to do.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)


def die_with_parent(supervisor: int) -> None:
    """Let the kernel kill this process when the one with id `supervisor` dies.

    Elsewhere than on Linux only the link's end tells a worker so, which an event loop that hangs
    would not hear.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != supervisor:  # it died before the kernel was asked
        os._exit(1)
