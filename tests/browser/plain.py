"""hubgate by hand and plain `jupyter lab` servers, with no hub anywhere."""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.browser.hub import ROOT, START_LIMIT, STOP_LIMIT
from tests.contract.ports import distinct_ports

PROXYCTL = str(Path(sys.executable).with_name("proxyctl"))
TOKEN = secrets.token_hex(16)


@dataclass(frozen=True)
class Gate:
    """A running `proxyctl serve`, and proxyctl to talk to it."""

    url: str
    environment: dict[str, str]

    def ctl(self, *arguments: str) -> None:
        """Run proxyctl as a person would; fails unless it exits 0."""
        command = [PROXYCTL, *arguments]
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=START_LIMIT
        )
        assert done.returncode == 0, done.stderr


@contextmanager
def gate(folder: Path) -> Iterator[Gate]:
    """Run `proxyctl serve` without a file, so without any route."""
    port, api_port = distinct_ports(2)
    environment = os.environ | {
        "HUBGATE_TOKEN": TOKEN,
        "HUBGATE_API_URL": f"http://127.0.0.1:{api_port}",
    }
    command = [PROXYCTL, "serve", "--port", str(port), "--api-port", str(api_port)]
    with running(command, folder, environment, port):
        yield Gate(f"http://127.0.0.1:{port}", environment)


@contextmanager
def lab(folder: Path, name: str) -> Iterator[str]:
    """Run a JupyterLab under /`name`/; gives the URL of its port."""
    home = folder / name
    home.mkdir()
    (port,) = distinct_ports(1)
    environment = os.environ | {
        "HOME": str(home),
        "JUPYTER_CONFIG_PATH": str(ROOT / "dev" / "jupyter"),
    }
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser"),
        *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"),
        *(f"--ServerApp.base_url=/{name}/", f"--IdentityProvider.token={TOKEN}"),
    ]
    with running(command, home, environment, port):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def running(
    command: list[str], folder: Path, environment: dict[str, str], port: int
) -> Iterator[None]:
    """Run a server from its first accepted connection to its end."""
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=output
        )
    try:
        wait_until_open(port, process, log)
        yield
    finally:
        process.terminate()
        process.wait(STOP_LIMIT)


def wait_until_open(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError(f"{process.args!r} did not start:\n{log.read_text()[-4000:]}")
