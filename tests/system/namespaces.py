"""A network and an /etc of a test's own, in namespaces that end with it; only root makes them."""

import contextlib
import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

CLONE_NEWNET = 0x40000000

needs_namespaces = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root has namespaces to make"
)

_HELD = """
ip link set lo up || exit
for file in "$@"; do mount --bind "$file" "/etc/${file##*/}" || exit; done
echo ready
exec cat
"""


class Namespaces:
    """A network with nothing but a loopback interface, and files that stand in for those in /etc.

    A process holds them; it ends when its standard input does, at the latest with the test.
    """

    def __init__(self, holder: "subprocess.Popen[bytes]") -> None:
        self._holder = holder

    @property
    def pid(self) -> int:
        """The process that is in them."""
        return self._holder.pid

    def command(self, folder: Path, *words: str) -> list[str]:
        """Return a command that runs another in `folder`, with the files in /etc."""
        return ["nsenter", f"--mount=/proc/{self.pid}/ns/mnt", f"--wd={folder}", "--", *words]

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Have this thread, and what it starts, use the network until the block ends."""
        with open("/proc/thread-self/ns/net") as before, open(f"/proc/{self.pid}/ns/net") as own:
            _enter(own.fileno())
            try:
                yield
            finally:
                _enter(before.fileno())


@contextlib.contextmanager
def namespaces(folder: Path, files: Mapping[str, str] | None = None) -> Iterator[Namespaces]:
    """Make them; `files` are the names and contents of those in /etc, and are kept in `folder`."""
    paths = []
    for name, text in (files or {}).items():
        (folder / name).write_text(text)
        paths.append(str(folder / name))
    holder = subprocess.Popen(
        ["unshare", "--net", "--mount", "sh", "-c", _HELD, "sh", *paths],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"ready\n"
        yield Namespaces(holder)


def _enter(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
