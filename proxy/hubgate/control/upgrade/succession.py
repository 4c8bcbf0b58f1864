"""Replacing this process's program with the newly installed one: same process, same sockets."""

import logging
import os
import signal
import stat
import sys
import time
from collections.abc import Callable
from dataclasses import replace

from hubgate.control import handover
from hubgate.control.handover import Handover
from hubgate.control.upgrade.memory_file import memory_file
from hubgate.errors import ConfigError, UpgradeError
from hubgate.logs import configure_logging, settle, unwritten_lines
from hubgate.settings import Settings
from hubgate.settings.checks import shown, whole_number

log = logging.getLogger("hubgate.supervisor")

# Environment variables with a descriptor's number; which one is set says what the process is for.
HANDOVER, REHEARSAL = "HUBGATE_HANDOVER_FD", "HUBGATE_REHEARSAL_FD"

_HIGHEST = 1 << 20  # fs.nr_open of Linux

LOOK_AGAIN = 1.0  # seconds


def restart_command() -> list[str]:
    """Return the command line that starts the installed release as this process was started.

    Raises UpgradeError if Python does not know it.
    """
    if not sys.executable:
        raise UpgradeError("Python does not know its own executable; restart hubgate instead")
    return [sys.executable, *sys.orig_argv[1:]]


def configure_log(settings: Settings) -> None:
    """Log as `settings` say; a rehearsal says nothing but why an upgrade cannot be.

    The release that asked for it reads its lines.
    """
    if REHEARSAL in os.environ:
        configure_logging("error")
    else:
        configure_logging(settings.log_level, settings.log_format)


def rehearsal() -> int | None:
    """Return the descriptor for a rehearsal to write to, None if this is not a rehearsal.

    Raises UpgradeError if another program than a hubgate has set its variable.
    """
    fd = _inherited(REHEARSAL)
    os.environ.pop(REHEARSAL, None)
    return fd


def _inherited(variable: str) -> int | None:
    """Return the descriptor of a memory file that `variable` names, None if there is none.

    Raises UpgradeError for any other: it may be a socket or a loop of ours by now.
    """
    text = os.environ.get(variable)
    if text is None:
        return None
    try:
        fd = whole_number(text, "descriptor", 3, _HIGHEST)
        if stat.S_ISREG(os.fstat(fd).st_mode):
            return fd
    except (ConfigError, OSError):
        pass
    raise UpgradeError(
        f"{variable}: {shown(text)} is not a file that a running hubgate has opened for an upgrade;"
        " unset it"
    )


def starts_anew() -> bool:
    """Return whether this process begins with nothing: no rehearsal, and no older release."""
    return REHEARSAL not in os.environ and HANDOVER not in os.environ


def read_settings(read: Callable[[], Settings]) -> Settings:
    """Return what `read` returns. Raises ConfigError for mistakes.

    But after an older release, whose workers serve for as long as this process lives, it reads
    again every second until there are no mistakes, or a signal asks it to stop.
    """
    upgrades = _inherited(HANDOVER) is not None
    logged: tuple[str, ...] = ()
    while True:
        try:
            return read()
        except ConfigError as error:
            if not upgrades or signal.sigpending() & {signal.SIGINT, signal.SIGTERM}:
                raise
            if error.lines != logged:
                logged = error.lines
                for line in logged:
                    log.error("the upgrade waits until this is fixed: %s", line)
        time.sleep(LOOK_AGAIN)


def receive_handover() -> Handover | None:
    """Return what an older release handed over in this process, None if there was none.

    Raises UpgradeError when it cannot be read.
    """
    fd = _inherited(HANDOVER)
    if fd is None:
        return None
    del os.environ[HANDOVER]
    with os.fdopen(fd, "rb") as file:
        file.seek(0)
        received = handover.loads(file.read())
    for fd in received.fds:
        os.set_inheritable(fd, False)
    return received


def exec_next_release(leaving: Handover) -> None:
    """Become the installed release; returns only if that fails, after logging why."""
    try:
        with memory_file("handover") as file:
            settle()
            file.write(handover.dumps(replace(leaving, lost_lines=unwritten_lines())))
            file.flush()
            fds = [file.fileno(), *leaving.fds]
            for fd in fds:
                os.set_inheritable(fd, True)
            argv = restart_command()
            os.execve(argv[0], argv, {**os.environ, HANDOVER: str(fds[0])})
    except (OSError, UpgradeError) as error:
        log.error("not upgraded, the old release keeps running: %s", error)
    for fd in leaving.fds:
        os.set_inheritable(fd, False)
