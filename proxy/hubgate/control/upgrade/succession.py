"""Replacing this process's program by the newly installed one: same process, same sockets."""

import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from typing import IO

from hubgate.control import handover
from hubgate.control.handover import Handover
from hubgate.errors import ConfigError, UpgradeError
from hubgate.settings import Settings

log = logging.getLogger("hubgate.supervisor")

# In the environment: the number of a descriptor, and with it what a process is started for.
HANDOVER, REHEARSAL = "HUBGATE_HANDOVER_FD", "HUBGATE_REHEARSAL_FD"

LOOK_AGAIN = 1.0  # seconds


def restart_command() -> list[str]:
    """Return the command line that starts what is installed now as this process was started.

    Raises UpgradeError where Python cannot tell.
    """
    if not sys.executable:
        raise UpgradeError("Python does not know its own program; restart hubgate instead")
    return [sys.executable, *sys.orig_argv[1:]]


def rehearsal() -> int | None:
    """Return the descriptor on which a rehearsal is to answer, None if this is none."""
    number = os.environ.pop(REHEARSAL, None)
    return None if number is None else int(number)


def read_settings(read: Callable[[], Settings]) -> Settings:
    """Return what `read` does. Raises ConfigError for mistakes.

    But in the place of an older release, whose workers serve for as long as this process lives, it
    reads again every second until there are none, or somebody wants an end.
    """
    said: tuple[str, ...] = ()
    while True:
        try:
            return read()
        except ConfigError as error:
            if HANDOVER not in os.environ or signal.sigpending() & {signal.SIGINT, signal.SIGTERM}:
                raise
            if error.lines != said:
                said = error.lines
                for line in said:
                    log.error("the upgrade waits until this is mended: %s", line)
        time.sleep(LOOK_AGAIN)


def receive_handover() -> Handover | None:
    """Return what an older release has left for us in this process, None if there was none.

    Raises UpgradeError when it cannot be read.
    """
    number = os.environ.pop(HANDOVER, None)
    if number is None:
        return None
    with os.fdopen(int(number), "rb") as file:
        file.seek(0)
        received = handover.loads(file.read())
    for fd in received.fds:
        os.set_inheritable(fd, False)
    return received


def exec_next_release(leaving: Handover) -> None:
    """Become the release that is installed now; returns only if that fails, after a log line."""
    try:
        with _anonymous_file() as file:
            file.write(handover.dumps(leaving))
            file.flush()
            fds = [file.fileno(), *leaving.fds]
            for fd in fds:
                os.set_inheritable(fd, True)
            argv = restart_command()
            os.execve(argv[0], argv, {**os.environ, HANDOVER: str(fds[0])})
    except (OSError, UpgradeError) as error:
        log.error("not upgraded, the old release goes on: %s", error)
    for fd in leaving.fds:
        os.set_inheritable(fd, False)


def _anonymous_file() -> IO[bytes]:
    """Return a file that nobody else can open, if possible in memory: routes may hold secrets."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("hubgate handover"), "w+b")
    return tempfile.TemporaryFile()
