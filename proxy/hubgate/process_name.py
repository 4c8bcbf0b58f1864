"""The name of this process in `ps`, `top` and `ss`, which say `python3` otherwise."""

import sys
from contextlib import suppress
from ctypes import CDLL, memmove
from pathlib import Path

PR_SET_NAME = 15

_ARGUMENTS = slice(45, 47)  # arg_start and arg_end, counted from the state (proc(5))


def name_process(short: str, title: str) -> None:
    """Be called `short` (15 bytes at most) in `top` and `ss`, and `hubgate: TITLE` in `ps`.

    Where that is impossible, and on other systems than Linux, names stay as they are. The title is
    cut to the length of the command line; the environment stays readable, unlike with libraries
    that write the title over it.
    """
    if sys.platform == "linux":
        with suppress(OSError, ValueError, IndexError):
            CDLL(None).prctl(PR_SET_NAME, short.encode(), 0, 0, 0)
            _write_over_arguments(f"hubgate: {title}".encode("utf-8", "backslashreplace"))


def _write_over_arguments(title: bytes) -> None:
    """Write `title` where the kernel reads the command line. Raises OSError or ValueError."""
    start, end = _arguments()
    size = end - start
    # A kernel that hides the place says 0; one that emulates Linux may say anything.
    if start <= 0 or len(Path("/proc/self/cmdline").read_bytes()) != size:
        raise ValueError("the place of the command line is not known")
    # The last byte stays 0: without it the kernel shows the environment, too.
    memmove(start, title[: size - 1].ljust(size, b"\0"), size)


def _arguments() -> tuple[int, int]:
    fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
    start, end = map(int, fields[_ARGUMENTS])
    return start, end
