"""Ctrl-C at any moment from when a command is loaded on: exit 130, and no traceback.

Before that it is Python's own start, some milliseconds, which a program cannot do anything about.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.environment import clean_environment
from tests.grid.cells import LIMIT, Cell, Ended, check

pytestmark = pytest.mark.processes

# As the script of an installed command does it; and it says when it begins to load the command.
BEGIN = """
import os, sys
from hubgate.cli import {module}
begun, load = int(sys.argv.pop(1)), {module}.load
{module}.load = lambda: os.write(begun, b"!") and load()
{module}.main()
"""
COMMANDS: dict[str, tuple[str, ...]] = {
    "list": ("main", "list"),
    "check": ("main", "check"),
    "certs": ("main", "certs"),
    "drop-in": ("chp", "--ip=127.0.0.1", "--port=0", "--api-port=0"),
}
# Seconds; the last ones find short commands at their end, or ended.
MOMENTS = (0.0, 0.01, 0.03, 0.07, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.8)


@pytest.fixture
def silent_api() -> Iterator[str]:
    """An API that does not answer: who asks it waits."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def interrupted(command: tuple[str, ...], moment: float, folder: Path, api: str) -> Ended:
    """Run a command and press Ctrl-C `moment` seconds after it has begun."""
    folder.mkdir()
    begun, tell = os.pipe()
    module, *args = command
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", BEGIN.format(module=module), str(tell), *args],
        cwd=folder,
        env=clean_environment({"HUBGATE_API_URL": api, "XDG_STATE_HOME": str(folder)}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=(tell,),
    )
    os.close(tell)
    with process:
        try:
            assert os.read(begun, 1)
            os.close(begun)
            time.sleep(moment)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=LIMIT)
        finally:
            process.kill()
    return Ended(process.returncode, out.decode(), err.decode())


@pytest.mark.parametrize("name", COMMANDS)
def test_it_ends_at_once_and_quietly(name: str, tmp_path: Path, silent_api: str) -> None:
    def one(moment: float) -> Ended:
        return interrupted(COMMANDS[name], moment, tmp_path / str(moment), silent_api)

    with ThreadPoolExecutor(2) as pool:
        ends = [*pool.map(one, MOMENTS)]
    # Interrupted, or complete by then, or stopped as a proxy is. After its last line only
    # Python's own end is left, which the signal itself may end.
    codes = (0, 130, -signal.SIGINT)
    for end in ends:
        check(Cell(name, (), codes, (0, 9)), Ended(end.code, end.out, f": {end.err}"))
    assert ends[0].code == 130
    if name == "list":
        assert {end.code for end in ends} == {130}
