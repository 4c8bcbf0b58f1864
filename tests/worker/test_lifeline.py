import os
import signal
import socket
import subprocess
import sys

import pytest

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
