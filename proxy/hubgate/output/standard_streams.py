"""Descriptors 0 to 2, which whoever starts a daemon may have closed (`<&-`, `>&-`, `2>&-`)."""

import os
import sys

_STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def open_closed_streams() -> None:
    """Open /dev/null as each of the descriptors 0 to 2 that is closed.

    To be called before anything else is opened: a socket that got one of these numbers would be
    sent whatever is printed, and be closed or replaced where a child is started.
    """
    # Not contextlib: it is loaded before anybody handles a signal.
    try:
        # The kernel gives out the lowest free number.
        while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
            # For our own children, and for the next release in this process.
            os.set_inheritable(fd, True)
        os.close(fd)
    except OSError:  # without /dev/null there is nothing to put there
        return  # what needs no output still works
    for number, (name, mode) in enumerate(_STREAMS):
        if getattr(sys, name) is None:  # it was closed when Python looked
            stream = open(number, mode, errors="backslashreplace", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
