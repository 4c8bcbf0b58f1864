"""`make run`: what it says when it cannot start, and what it leaves behind."""

import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.browser.hub import ROOT, START_LIMIT, STOP_LIMIT
from tests.contract.ports import distinct_ports

pytestmark = pytest.mark.processes

FLAGS = ("--port", "--api-port", "--hub-port")


def command(state: Path, ports: list[int]) -> list[str]:
    pairs = zip(FLAGS, map(str, ports), strict=True)
    options = [word for pair in pairs for word in pair]
    return [sys.executable, str(ROOT / "dev" / "run.py"), "--state", str(state), *options]


@pytest.mark.parametrize("which", range(3), ids=FLAGS)
def test_a_taken_port_is_one_line(tmp_path: Path, which: int) -> None:
    ports = distinct_ports(3)
    with socket.create_server(("127.0.0.1", ports[which])):
        done = subprocess.run(
            command(tmp_path / "state", ports), capture_output=True, text=True, timeout=60
        )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"port {ports[which]};" in done.stderr
    assert not (tmp_path / "state").exists()


def test_ctrl_c_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command(state, distinct_ports(3)), stdout=log, stderr=log)
    # From here on there is a proxy, and the hub that would stop it does not handle signals yet.
    wait_for(state / "jupyterhub-proxy.pid", process)
    started = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    process.wait(STOP_LIMIT)
    _, left = psutil.wait_procs(started, timeout=60)
    assert not left
    assert not (state / "jupyterhub-proxy.pid").exists()


def test_every_line_of_a_good_start_is_information(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command(tmp_path / "state", distinct_ports(3)), stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + START_LIMIT
        while "JupyterHub runs behind hubgate at" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        lines = log.read_text().splitlines()
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(STOP_LIMIT)
    assert code == 0
    # Hubgate's name the level, the hub's begin with its letter.
    assert not [line for line in lines if re.search(r"\b(warning|error): |^\[[WEC] ", line)]


def wait_for(file: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_LIMIT
    while not (file.exists() and file.read_text()):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
