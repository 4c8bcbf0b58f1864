"""Processes on one core, what they use, and that they end."""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

PROXY_CORE = "0"
LOAD_CORE = "1"
_TICK = os.sysconf("SC_CLK_TCK")


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
    """Run `command` on `core` until the block ends; entered when all `ports` accept."""
    name = Path(command[0]).name
    with (folder / f"{name}-{time.monotonic_ns()}.log").open("wb") as log:
        process = psutil.Popen(
            pinned(core, command),
            cwd=folder,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        for port in ports:
            _wait_for(port, process, Path(log.name))
        yield process
    finally:
        tree = [*process.children(recursive=True), process]
        process.terminate()
        _, alive = psutil.wait_procs(tree, timeout=10)
        for left in alive:
            left.kill()


def _wait_for(port: int, process: psutil.Process, log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError(
        f"nothing listens on port {port}:\n{log.read_text(errors='replace')[-2000:]}"
    )


def family(process: psutil.Process) -> list[psutil.Process]:
    """Return the process and all its descendants."""
    return [process, *process.children(recursive=True)]


def cpu_seconds(process: psutil.Process) -> float:
    """Return the CPU time that the process and its descendants have used, in seconds."""
    total = 0
    for each in family(process):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{each.pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / _TICK


def memory_bytes(process: psutil.Process) -> int:
    """Return the proportional set size of the process and its descendants."""
    total = 0
    for each in family(process):
        with contextlib.suppress(psutil.Error, OSError):
            total += each.memory_full_info().pss
    return total
