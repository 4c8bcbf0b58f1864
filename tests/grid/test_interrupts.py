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


# The first thing that loading a command does is to be sent a signal.
SENT = """
import os, signal, sys
from hubgate.cli import {module}
number, load = int(sys.argv.pop(1)), {module}.load
signal.signal(number, signal.SIG_DFL)  # nohup ignores SIGHUP, for all that it starts
{module}.load = lambda: os.kill(os.getpid(), number) or load()
{module}.main()
"""


def sent(number: signal.Signals, module: str, *args: str, folder: Path) -> subprocess.Popen[str]:
    code = SENT.format(module=module)
    return subprocess.Popen(
        [sys.executable, "-P", "-c", code, str(int(number)), *args],
        cwd=folder,
        env=clean_environment({"HUBGATE_TOKEN": "s", "XDG_STATE_HOME": str(folder)}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("number", "said"), [(signal.SIGHUP, "reloaded: "), (signal.SIGUSR2, "upgraded: ")]
)
def test_what_a_running_hubgate_is_asked_for_is_kept_until_it_runs(
    number: signal.Signals, said: str, tmp_path: Path
) -> None:
    (tmp_path / "routes.yaml").write_text("listen: {port: 0}\napi: {port: 0}\n")
    with sent(number, "main", "serve", "routes.yaml", folder=tmp_path) as process:
        try:
            assert process.stderr is not None
            assert any(said in line for line in process.stderr)
        finally:
            process.terminate()


def test_any_other_command_ends_by_it(tmp_path: Path) -> None:
    with sent(signal.SIGHUP, "main", "check", folder=tmp_path) as process:
        assert process.communicate(timeout=LIMIT) == ("", "")
    assert process.returncode == -signal.SIGHUP


def test_little_is_loaded_before_signals_are_held() -> None:
    """Until then, Ctrl-C is a traceback of Python's."""
    code = (
        "import sys; before = set(sys.modules); import hubgate.cli.main, hubgate.cli.chp;"
        "print(*sorted(set(sys.modules) - before - {'signal'}))"
    )
    command = [sys.executable, "-P", "-c", f"import re, sys; {code}"]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert [name for name in loaded if not name.startswith("hubgate")] == []
