import os
import signal
import socket
import subprocess
import sys

import pytest

from hubgate.worker.lifeline import SUPERVISOR_SIGNALS
from tests.control.waiting import gone, until

pytestmark = pytest.mark.processes

# Starts a worker, tells its process id, and waits to be killed with it.
SUPERVISOR = """
import os, socket, subprocess, sys, time
ours, theirs = socket.socketpair()
command = [sys.executable, "-P", "-m", "hubgate.worker", str(theirs.fileno()), str(os.getpid())]
worker = subprocess.Popen(command, pass_fds=[theirs.fileno()])
assert ours.recv(1)
print(worker.pid, flush=True)
time.sleep(600)
"""


def run_supervisor() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", SUPERVISOR], stdout=subprocess.PIPE)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux does this")
async def test_kernel_kills_a_worker_that_cannot_notice_its_supervisors_end() -> None:
    with run_supervisor() as process:
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        os.kill(worker, signal.SIGSTOP)
        process.kill()
        await until(lambda: gone(worker))


def test_worker_whose_supervisor_is_gone_already_ends() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        stranger = 1
        command = [
            sys.executable,
            "-P",
            "-m",
            "hubgate.worker",
            str(theirs.fileno()),
            str(stranger),
        ]
        done = subprocess.run(command, pass_fds=[theirs.fileno()], timeout=60, check=False)
    assert done.returncode == 1


def test_workers_leave_to_the_supervisor_what_it_handles() -> None:
    code = (
        "import signal; from hubgate.worker import lifeline;"
        "lifeline.leave_signals_to_supervisor();"
        "print(*(signal.getsignal(each).name for each in lifeline.SUPERVISOR_SIGNALS))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["SIG_IGN"] * len(SUPERVISOR_SIGNALS)
