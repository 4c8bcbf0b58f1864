"""Another process that opens a file of routes: locks only show between processes."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

CODE = """
import asyncio, sys
from hubgate.errors import StoreError
from hubgate.store import sqlite
sqlite.LOCK_TIMEOUT = 1.0

if sys.argv[2]:
    print("ready", flush=True)
    sys.stdin.readline()

async def hold():
    store = sqlite.SqliteStore(sys.argv[1])
    try:
        await store.open()
        await store.load()
        print("open", flush=True)
        await asyncio.to_thread(sys.stdin.read)
    except StoreError as error:
        print(error, flush=True)
    await store.close()

asyncio.run(hold())
"""


def opening(
    path: Path, wrapper: Sequence[str] = (), *, when_told: bool = False
) -> subprocess.Popen[str]:
    """Open `path` in a process of its own, which holds it until its standard input ends."""
    told = "when told" if when_told else ""
    return subprocess.Popen(
        [*wrapper, sys.executable, "-c", CODE, str(path), told],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def tell(process: subprocess.Popen[str]) -> None:
    """Let it open the file, now that it has said that it is ready."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def said(process: subprocess.Popen[str]) -> str:
    """Return its verdict: `open`, or the error's text."""
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def end(process: subprocess.Popen[str]) -> None:
    """Let it close the file, and wait for its end."""
    process.communicate(timeout=30)


@contextlib.contextmanager
def held(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Hold `path` until the block ends, or the process before it."""
    process = opening(path)
    try:
        assert said(process) == "open"
        yield process
    finally:
        process.kill()
        end(process)


def as_ordinary_user() -> list[str]:
    """Return what to put before a command so that permissions hold for it, root or not."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-net_bind_service"]
