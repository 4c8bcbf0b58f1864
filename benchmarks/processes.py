"""Run processes on one core, and make sure that they end."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

PROXY_CORE = "0"
LOAD_CORE = "1"


def pinned(core: str, command: Sequence[str]) -> list[str]:
    """Return `command` bound to one core."""
    return ["taskset", "-c", core, *command]


def free_port() -> int:
    """Return a TCP port on which nothing listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def running(
    command: Sequence[str],
    folder: Path,
    ports: Sequence[int] = (),
    env: Mapping[str, str] | None = None,
    core: str = PROXY_CORE,
) -> Iterator[psutil.Process]:
    """Run `command` on `core` until the block ends; enter it once all `ports` accept."""
    name = Path(command[0]).name
    with (folder / f"{name}-{time.monotonic_ns()}.log").open("wb") as log:
        # Its own group: only we get Ctrl-C, and processes it leaves behind can be found.
        process = psutil.Popen(
            pinned(core, command),
            cwd=folder,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        for port in ports:
            _wait_for(port, process, Path(log.name))
        yield process
    finally:
        end(process)


def end(process: psutil.Popen) -> None:
    """Terminate the leader of a process group, then kill the whole group."""
    tree = family(process)
    with contextlib.suppress(psutil.NoSuchProcess):
        process.terminate()
    psutil.wait_procs(tree, timeout=10)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    psutil.wait_procs(tree, timeout=5)


def family(process: psutil.Process) -> list[psutil.Process]:
    """Return the process and all its descendants."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return [process]


def memory_bytes(process: psutil.Process) -> int:
    """Return the proportional set size of the process and its descendants.

    The kernel's own memory for sockets is not included; it is the same for every proxy.
    """
    total = 0
    for each in family(process):
        with contextlib.suppress(psutil.Error, OSError):
            total += each.memory_full_info().pss
    return total


def _wait_for(port: int, process: psutil.Process, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    said = log.read_text(errors="replace").strip().splitlines()[-1:]
    raise RuntimeError(f"nothing listens on port {port}: {' '.join(said)}")
