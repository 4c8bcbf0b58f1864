"""A running `proxyctl serve`, its processes and what they use."""

import contextlib
import http.client
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.contract.polling import eventually
from tests.contract.ports import free_ports
from tests.environment import clean_environment

PROXYCTL = str(Path(sys.executable).with_name("proxyctl"))


@dataclass
class Served:
    """The supervisor's process, its two ports and the API's token."""

    process: psutil.Popen
    port: int
    api_port: int
    token: str

    @property
    def workers(self) -> list[psutil.Process]:
        """The worker processes."""
        children: list[psutil.Process] = self.process.children()
        return children

    @property
    def resident(self) -> int:
        """Bytes resident in the largest worker."""
        return max(worker.memory_info().rss for worker in self.workers)

    @property
    def descriptors(self) -> int:
        """Open file descriptors of all processes together."""
        return int(sum(each.num_fds() for each in [self.process, *self.workers]))

    def call(self, method: str, path: str, data: dict[str, object] | None = None) -> int:
        """Call the API on a connection of its own; return the status."""
        connection = http.client.HTTPConnection("127.0.0.1", self.api_port, timeout=30)
        body = None if data is None else json.dumps(data)
        connection.request(method, path, body, {"Authorization": f"Bearer {self.token}"})
        status = connection.getresponse().status
        connection.close()
        return status

    def add(self, path: str, target: str) -> None:
        """Add a route."""
        assert self.call("POST", f"/api/routes{path}", {"target": target}) == 201


@contextlib.contextmanager
def serving(
    folder: Path,
    *flags: str,
    command: Sequence[str] = (PROXYCTL, "serve"),
    variable: str = "HUBGATE_TOKEN",
) -> Iterator[Served]:
    """Run `proxyctl serve` with `flags` in `folder` until the block ends, or it ends before.

    Another `command` may read its token from another environment variable.
    """
    port, api_port = free_ports()
    token = secrets.token_hex(8)
    log = folder / "serve.log"
    with log.open("wb") as output:
        process = psutil.Popen(
            [*command, "--port", str(port), "--api-port", str(api_port), *flags],
            cwd=folder,
            env=clean_environment({variable: token}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    served = Served(process, port, api_port, token)
    try:
        assert eventually(lambda: _answers(served), 60), log.read_text()
        yield served
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except psutil.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            raise


def _answers(served: Served) -> bool:
    assert served.process.poll() is None, "the proxy has ended"
    with contextlib.suppress(OSError):
        return served.call("GET", "/api/routes") == 200
    return False
