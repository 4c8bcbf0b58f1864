"""Room for one run: ports of its own where the system gives them, and no process left after it."""

import ctypes
import subprocess
import sys
from functools import cache
from pathlib import Path

import psutil

# prctl(2): orphans of a run become our children, so that they can be found and ended.
PR_SET_CHILD_SUBREAPER = 36

# A network with nothing but a loopback interface: whoever else uses a port is not in it.
OWN_NETWORK = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")


@cache
def network() -> tuple[str, ...]:
    """Return the words before a command that give it a network of its own, or none."""
    try:
        tried = subprocess.run([*OWN_NETWORK, "true"], capture_output=True)
    except FileNotFoundError:
        return ()
    return OWN_NETWORK if tried.returncode == 0 else ()


def adopt_orphans() -> None:
    """Become the parent of what outlives its own; only Linux can do it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def run(command: list[str], variables: dict[str, str], log: Path, limit: float) -> bool:
    """Run `command` for `limit` seconds at most; return whether it ended by itself."""
    with log.open("w") as output:
        process = subprocess.Popen(
            [*network(), *command], env=variables, stdout=output, stderr=output, cwd=log.parent
        )
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            return False
        finally:
            end_leftovers()
    return True


def end_leftovers() -> None:
    left = psutil.Process().children(recursive=True)
    for process in left:
        process.kill()
    psutil.wait_procs(left, timeout=10)
