"""Ties a worker's life to its supervisor's, before and while the event loop runs."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1

SUPERVISOR_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2)
"""The signals that a serving supervisor handles, and its workers leave to it."""


def leave_signals_to_supervisor() -> None:
    """Ignore the signals that end, reload or upgrade a whole process group, such as Ctrl-C.

    The supervisor receives them too, and tells its workers over the link what to do.
    """
    for number in SUPERVISOR_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def die_with_parent(supervisor: int) -> None:
    """Make the kernel kill this process when the one with id `supervisor` dies.

    On other systems than Linux a worker only notices the end of the link, which an event loop
    that hangs would miss.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != supervisor:  # it died before prctl was called
        os._exit(1)
