"""CPU time of a proxy's processes to the nanosecond, and how busy both cores are."""

import time
from pathlib import Path

import psutil

from benchmarks.processes import LOAD_CORE, PROXY_CORE, family

_IDLE = (3, 4)  # columns of /proc/stat: idle, iowait


class Meter:
    """Counts the CPU time that a process and its descendants use from now on.

    Reads each process's own clock, which counts nanoseconds and includes threads that have ended;
    the ticks of /proc/PID/stat are 10 ms. A process that ends takes its time with it, which makes
    reading an error.
    """

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._core = CoreWatch(PROXY_CORE)
        self._begun = _clocks(process)
        self._wall = time.perf_counter()

    def read(self) -> tuple[float, float]:
        """Return CPU time and real time since the start, in seconds.

        Raises RuntimeError if a process has ended meanwhile.
        """
        wall = time.perf_counter() - self._wall
        now = _clocks(self._process)
        if gone := self._begun.keys() - now.keys():
            raise RuntimeError(f"{len(gone)} of the proxy's processes ended while it was measured")
        used = sum(clock - self._begun.get(pid, 0) for pid, clock in now.items())
        return used / 1e9, wall

    @property
    def used(self) -> float:
        """CPU time since the start, in seconds."""
        return self.read()[0]

    @property
    def others(self) -> float:
        """The share of the proxy's core that other processes used since the start, 0 to 1."""
        used, wall = self.read()
        return max(0.0, self._core.busy - used / wall)


def _clocks(process: psutil.Process) -> dict[int, int]:
    found = {}
    for each in family(process):
        try:
            found[each.pid] = time.clock_gettime_ns(clock_of(each.pid))
        except OSError:
            continue
    return found


def clock_of(pid: int) -> int:
    """Return what clock_getcpuclockid(3) gives for a process: Linux derives it from the pid."""
    return (~pid << 3) | 2


class CoreWatch:
    """How busy a core is from now on, whichever process uses it."""

    def __init__(self, core: str = LOAD_CORE) -> None:
        self._core = core
        self._begun = self._ticks()

    @property
    def busy(self) -> float:
        """The share of time during which the core was not idle, 0 to 1."""
        idle, total = (now - then for now, then in zip(self._ticks(), self._begun, strict=True))
        return 1 - idle / total if total else 0.0

    def _ticks(self) -> tuple[int, int]:
        lines = Path("/proc/stat").read_text().splitlines()
        (fields,) = (line.split()[1:9] for line in lines if line.startswith(f"cpu{self._core} "))
        ticks = [int(field) for field in fields]
        return sum(ticks[index] for index in _IDLE), sum(ticks)
