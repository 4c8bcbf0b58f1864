"""A real JupyterHub behind the proxy: the demo of `make run`, on free ports."""

import secrets
import signal
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from tests.contract.ports import distinct_ports
from tests.processes import kill, workers_of

ROOT = Path(__file__).resolve().parents[2]
READY = "JupyterHub runs behind hubgate at"
START_LIMIT = 180.0  # seconds
STOP_LIMIT = 180.0


@dataclass(frozen=True)
class Hub:
    """A running hub, and what a test asks of it and of its proxy."""

    url: str
    api_url: str
    token: str
    state: Path
    certs: Path | None
    process: subprocess.Popen[bytes]

    async def routes(self) -> dict[str, Any]:
        """Return the proxy's route table as its API shows it."""
        headers = {"Authorization": f"token {self.token}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.get(f"{self.api_url}/api/routes") as answer,
        ):
            assert answer.status == 200
            table: dict[str, Any] = await answer.json()
            return table

    async def status(self, path: str) -> int:
        """Return the status of a GET through the proxy, its certificate verified."""
        context = ssl.create_default_context(cafile=self.certs / "ca.pem") if self.certs else True
        async with (
            aiohttp.ClientSession() as session,
            session.get(self.url + path, ssl=context, allow_redirects=False) as answer,
        ):
            return answer.status

    def proxy(self) -> psutil.Process:
        """Return the proxy's supervisor."""
        return psutil.Process(int((self.state / "jupyterhub-proxy.pid").read_text()))

    def workers(self) -> list[psutil.Process]:
        """Return the proxy's worker processes."""
        return workers_of(self.proxy())

    def stop(self) -> None:
        """Press Ctrl-C; fails if anything the hub started is still there afterwards."""
        started = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(signal.SIGINT)
        self.process.wait(STOP_LIMIT)
        _, left = psutil.wait_procs(started, timeout=STOP_LIMIT)
        kill(left)
        assert not left, f"still running after Ctrl-C: {left}"


def start(folder: Path, tls: bool) -> Hub:
    """Start a hub that keeps everything in `folder`, and return once it is ready for users."""
    port, api_port, hub_port = distinct_ports(3)
    token = secrets.token_hex(16)
    certs = folder / "certs"
    command = [
        *(sys.executable, str(ROOT / "dev" / "run.py"), "--state", str(folder / "state")),
        *("--port", str(port), "--api-port", str(api_port), "--hub-port", str(hub_port)),
        *(("--tls", "--certs", str(certs)) if tls else ()),
        f"--HubgateProxy.auth_token={token}",
    ]
    log = folder / "hub.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)
    wait_until_ready(process, log)
    return Hub(
        url=f"{'https' if tls else 'http'}://127.0.0.1:{port}",
        api_url=f"http://127.0.0.1:{api_port}",
        token=token,
        state=folder / "state",
        certs=certs if tls else None,
        process=process,
    )


def wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT
    while READY not in log.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            kill([psutil.Process(process.pid), *psutil.Process(process.pid).children(True)])
            process.wait()
            raise AssertionError(f"the hub did not start:\n{log.read_text()[-4000:]}")
        time.sleep(0.2)
