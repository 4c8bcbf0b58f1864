"""Starting a worker's process: a fresh interpreter on the code that runs here."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from hubgate.worker.messages import InheritedSocket

OUR_SETTINGS = ("HUBGATE_", "CONFIGPROXY_")


class Process(Protocol):
    """A child process, as `subprocess.Popen` has it."""

    returncode: int | None

    @property
    def pid(self) -> int:
        """Its process id, ours until it is reaped."""

    def poll(self) -> int | None:
        """Reap it if it has ended; return its exit code, minus a signal's number, or None."""

    def kill(self) -> None:
        """End it at once."""


class AdoptedProcess:
    """A child that was started before this process became a newer release."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def __repr__(self) -> str:
        return f"<AdoptedProcess {self.pid} code={self.returncode}>"

    def poll(self) -> int | None:
        """Reap it if it has ended; return its exit code, minus a signal's number, or None."""
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:  # somebody else has reaped it
                pid, status = self.pid, 0
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def kill(self) -> None:
        """End it at once."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


def worker_environment() -> dict[str, str]:
    """Return the environment workers run in: ours, without our settings and the secrets in them.

    With our own module search path a worker runs the code that runs here, whatever other
    `proxy` the current folder may hold.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OUR_SETTINGS)}
    # "" is the current folder; what does not exist is there for import hooks only.
    path = [os.path.abspath(entry) for entry in sys.path if os.path.exists(entry or ".")]
    kept["PYTHONPATH"] = os.pathsep.join(path)
    return kept


def start_process(
    link: socket.socket, sockets: Sequence[InheritedSocket]
) -> subprocess.Popen[bytes]:
    """Start a worker that inherits `link` and `sockets` and nothing else of ours.

    Raises OSError when the system has no room for it.
    """
    # -P: the current folder is no place to import from.
    command = [sys.executable, "-P", "-m", "hubgate.worker", str(link.fileno()), str(os.getpid())]
    inherited = {link.fileno(), *(each.fd for each in sockets)}
    return subprocess.Popen(
        command, pass_fds=tuple(inherited), stdin=subprocess.DEVNULL, env=worker_environment()
    )


@dataclass(frozen=True)
class SpawnedWorker:
    """A worker's process that has been started, and our end of its link."""

    process: subprocess.Popen[bytes]
    link: socket.socket

    def end(self) -> None:
        """End it before anybody has spoken to it."""
        self.process.kill()
        self.process.wait()
        self.link.close()


def spawn_worker(sockets: Sequence[InheritedSocket]) -> SpawnedWorker:
    """Start a worker that inherits `sockets` and one end of a new link.

    Raises OSError when the system has no room for it.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            process = start_process(theirs, sockets)
        except OSError:
            ours.close()
            raise
    ours.setblocking(False)
    return SpawnedWorker(process, ours)
