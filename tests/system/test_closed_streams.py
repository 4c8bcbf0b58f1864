"""Started with closed standard descriptors, as daemons start programs."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.contract.polling import eventually
from tests.contract.ports import free_ports
from tests.environment import clean_environment
from tests.processes import kill, lives, workers_of
from tests.system.served import PROXYCTL, Served, _answers

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

ONE_BY_ONE, ALL = ["<&-", ">&-", "2>&-"], ["<&- >&- 2>&-"]
SERVE = f'{PROXYCTL} serve --port "$1" --api-port "$2"'
MODULE = f'{sys.executable} -P -m hubgate serve --port "$1" --api-port "$2"'
DROP_IN = f'{sys.executable} -P -m hubgate.cli.chp --ip 127.0.0.1 --port "$1" --api-port "$2"'


@contextlib.contextmanager
def started(folder: Path, command: str, closed: str) -> Iterator[Served]:
    ports = free_ports()
    process = psutil.Popen(
        ["sh", "-c", f"exec {command} {closed}", "sh", *map(str, ports)],
        cwd=folder,
        env=clean_environment(
            {
                "HUBGATE_TOKEN": "s3cret",
                "CONFIGPROXY_AUTH_TOKEN": "s3cret",
                "XDG_STATE_HOME": str(folder),
            }
        ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    served = Served(process, *ports, "s3cret")
    try:
        assert eventually(lambda: _answers(served), 60)
        yield served
    finally:
        if lives(process):
            process.kill()
        process.wait()


def standard(process: psutil.Process) -> list[str]:
    """Return what its descriptors 0 to 2 are."""
    return [os.readlink(f"/proc/{process.pid}/fd/{number}") for number in range(3)]


def family(served: Served) -> list[psutil.Process]:
    supervisor = psutil.Process(served.process.pid)
    return [supervisor, *workers_of(supervisor)]


COMMANDS = {"serve": SERVE, "module": MODULE, "drop-in": DROP_IN}


@pytest.mark.parametrize(
    ("command", "closed"),
    [
        *(("serve", closed) for closed in (ONE_BY_ONE + ALL)),
        ("module", ALL[0]),
        *(("drop-in", closed) for closed in ("<&-", ALL[0])),
    ],
)
def test_no_socket_gets_their_numbers(tmp_path: Path, command: str, closed: str) -> None:
    with started(tmp_path, COMMANDS[command], closed) as served:
        assert [standard(each) for each in family(served)] == [["/dev/null"] * 3] * 2
        kill(family(served)[1:])
        assert eventually(lambda: len(family(served)) == 2 and _answers(served), 60)
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(30) == 0


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_an_upgrade_works(tmp_path: Path, closed: str) -> None:
    with started(tmp_path, SERVE, closed) as served:
        before = family(served)[1]
        upgrade = [PROXYCTL, "upgrade", "--api-url", f"http://127.0.0.1:{served.api_port}"]
        done = subprocess.run(
            upgrade,
            env=clean_environment({"HUBGATE_TOKEN": "s3cret"}),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert eventually(lambda: not lives(before), 60)
        served.add("/a", "http://127.0.0.1:9")
        assert [standard(each) for each in family(served)] == [["/dev/null"] * 3] * 2
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(30) == 0
