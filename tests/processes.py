"""Other processes, which may end at any time, and being allowed many files in this one."""

import resource
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

import psutil  # type: ignore[import-untyped]
import pytest


def kill(processes: Iterable[psutil.Process]) -> None:
    """Send each SIGKILL. Where the first one's end is the end of others, those may be gone."""
    for each in processes:
        with suppress(psutil.NoSuchProcess):
            each.kill()


def lives(process: psutil.Process) -> bool:
    """Say whether it may still do anything: not when all that is left is its exit code.

    An orphan's exit code stays until process 1 takes it, which may be a matter of seconds.
    """
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def workers_of(supervisor: psutil.Process) -> list[psutil.Process]:
    """Return the supervisor's children that are workers by now."""
    found = []
    for child in supervisor.children():
        with suppress(psutil.NoSuchProcess):  # no more than a zombie, or not even that
            if is_worker(child):
                found.append(child)
    return found


def is_worker(process: psutil.Process) -> bool:
    """Say whether it is a worker, before or after it has given itself a name."""
    command = process.cmdline()
    named = bool(command) and command[0].startswith("hubgate: worker")
    return named or "hubgate.worker" in command


@contextmanager
def files_allowed(wanted: int) -> Iterator[None]:
    """Let this process have so many files open, or skip the test where nobody may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"only {hard} files may be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
