"""Ending processes that may end by themselves, and being allowed many files in this one."""

import resource
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

import psutil
import pytest


def kill(processes: Iterable[psutil.Process]) -> None:
    """Send each SIGKILL. Where the first one's end is the end of others, those may be gone."""
    for each in processes:
        with suppress(psutil.NoSuchProcess):
            each.kill()


@contextmanager
def files_allowed(wanted: int) -> Iterator[None]:
    """Let this process have so many files open, or skip the test where nobody may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"only {hard} files may be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
