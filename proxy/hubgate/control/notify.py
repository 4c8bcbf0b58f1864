"""Telling systemd how far we are: units of `Type=notify` (sd_notify(3))."""

import asyncio
import logging
import os
import socket
import time
from collections import deque

log = logging.getLogger("hubgate.supervisor")

VARIABLE = "NOTIFY_SOCKET"

PATIENCE = 5.0  # seconds; a message that is lost would make systemd end us later on
_AGAIN = 0.02

_waiting: deque[str] = deque()


def ready() -> None:
    """Say that all ports answer: after a start, a reload, an upgrade."""
    _send("READY=1")


def reloading() -> None:
    """Say that settings are being read, or a new release takes over; `ready` must follow."""
    # systemd takes a READY=1 for the end of this reload only if it is newer than this moment.
    _send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")


def stopping() -> None:
    """Say that we drain and exit."""
    _send("STOPPING=1")


def _send(message: str) -> None:
    """Send it to whom the environment names, if anybody; the variable stays for a new release."""
    if os.environ.get(VARIABLE):
        _waiting.append(message)
        _deliver(time.monotonic() + PATIENCE)


def _deliver(deadline: float) -> None:
    """Send what waits, in order. The event loop does not wait for a manager that is busy."""
    while _waiting:
        message, where = _waiting[0], os.environ.get(VARIABLE, "")
        try:
            _put(message, where)
        except BlockingIOError as error:
            if time.monotonic() < deadline:
                asyncio.get_running_loop().call_later(_AGAIN, _deliver, deadline)
                return
            _complain(message, where, error)
        except OSError as error:
            _complain(message, where, error)
        _waiting.popleft()


def _put(message: str, where: str) -> None:
    # A leading @ stands for the zero byte of a name that is not in the file system.
    address = "\0" + where[1:] if where.startswith("@") else where
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect(address)
        sock.sendall(message.encode())


def _complain(message: str, where: str, error: OSError) -> None:
    what = message.split("\n")[0]
    log.warning("%s: cannot send %s to %s: %s", VARIABLE, what, where, error.strerror or error)
