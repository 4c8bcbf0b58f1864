"""Starting a worker's process: a fresh interpreter running the same code as this process."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from hubgate.current_folder import anchored
from hubgate.worker.messages import InheritedSocket

# The last one: systemd listens to the supervisor alone.
OUR_SETTINGS = ("HUBGATE_", "CONFIGPROXY_", "NOTIFY_SOCKET")


class Process(Protocol):
    """A child process, with the interface of `subprocess.Popen`."""

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
            except ChildProcessError:  # already reaped
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
    """Return the environment for workers: ours, without our settings and the secrets in them.

    With our own module search path, a worker runs the same code as this process, whatever the
    current folder contains.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OUR_SETTINGS)}
    # "" is the current folder; entries that do not exist are for import hooks only.
    path = [anchored(entry) for entry in sys.path if os.path.exists(entry or ".")]
    kept["PYTHONPATH"] = os.pathsep.join(path)
    return kept


def start_process(
    index: int, link: socket.socket, sockets: Sequence[InheritedSocket]
) -> subprocess.Popen[bytes]:
    """Start worker `index`, which inherits only `link` and `sockets` from us.

    Raises OSError when the system has no room for it.
    """
    # -P: do not import from the current folder.
    numbers = map(str, (link.fileno(), os.getpid(), index))
    command = [sys.executable, "-P", "-m", "hubgate.worker", *numbers]
    inherited = {link.fileno(), *(each.fd for each in sockets)}
    return subprocess.Popen(
        command, pass_fds=tuple(inherited), stdin=subprocess.DEVNULL, env=worker_environment()
    )


@dataclass(frozen=True)
class SpawnedWorker:
    """A started worker process, and our end of its link."""

    process: subprocess.Popen[bytes]
    link: socket.socket

    def end(self) -> None:
        """Kill it before anything was sent to it."""
        self.process.kill()
        self.process.wait()
        self.link.close()


def spawn_worker(index: int, sockets: Sequence[InheritedSocket]) -> SpawnedWorker:
    """Start worker `index`, which inherits `sockets` and one end of a new link.

    Raises OSError when the system has no room for it.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            process = start_process(index, theirs, sockets)
        except OSError:
            ours.close()
            raise
    ours.setblocking(False)
    return SpawnedWorker(process, ours)
