"""A hubgate with given settings as a process of its own, seen from outside."""

import asyncio
import json
import os
import pickle
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path

from hubgate.model import Address
from hubgate.settings import Settings
from tests.control.waiting import DEADLINE, until

# The settings come from a file, and on a reload again, as they would from routes.yaml.
COMMAND = """
import pickle, sys, time
from hubgate.cli.early_signals import hold_signals
hold_signals()
from pathlib import Path
from hubgate.control.launch import launch
from hubgate.errors import HubgateError
read = lambda: pickle.loads(Path(sys.argv[1]).read_bytes())
read_since = time.time()
settings = read()
try:
    sys.exit(launch(settings, read if settings.config_file else None, read_since))
except HubgateError as error:
    sys.exit(f"hubgate: {error}")
"""

SETTINGS = Settings(listen=(Address("127.0.0.1", 0),), api=(Address("127.0.0.1", 0),))


@dataclass
class Answer:
    """A response, as far as the tests look at it."""

    status: int
    body: bytes


@dataclass
class Launched:
    """The supervisor's process and what it printed."""

    process: subprocess.Popen[bytes]
    settings_file: Path
    output_file: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def output(self) -> str:
        return self.output_file.read_text()

    @property
    def workers(self) -> list[int]:
        """The workers' process ids."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return sorted(int(pid) for pid in children.read_text().split())

    @property
    def port(self) -> int:
        return self._port(r"Proxying https?://\S*:(\d+) to")

    @property
    def api_port(self) -> int:
        return self._port(r"Proxy API at https?://\S*:(\d+)/")

    @property
    def metrics_port(self) -> int:
        return self._port(r"Serve metrics at http://\S*:(\d+)/")

    async def serving(self) -> None:
        """Wait until it says that it serves."""
        await until(lambda: "Proxy API at" in self.output or self.process.poll() is not None)
        assert self.process.poll() is None, self.output

    async def ended(self, seconds: float = DEADLINE) -> int:
        """Wait for the end; return the exit code."""
        await until(lambda: self.process.poll() is not None, seconds)
        return self.process.returncode

    async def printed(self, text: str) -> None:
        """Wait until `text` is printed."""
        await until(lambda: text in self.output)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def write(self, settings: Settings) -> None:
        """Give it other settings to read at the next reload, in place of the file as editors do."""
        fresh = self.settings_file.with_suffix(".new")
        fresh.write_bytes(pickle.dumps(replace(settings, config_file=self.settings_file)))
        os.replace(fresh, self.settings_file)

    async def get(self, path: str) -> Answer:
        """GET `path` from the public port on a connection of its own."""
        return await call(self.port, "GET", path)

    async def add(self, path: str, target: str) -> int:
        """Add a route through the API; return the status."""
        body = json.dumps({"target": target}).encode()
        return (await call(self.api_port, "POST", f"/api/routes{path}", body)).status

    def _port(self, pattern: str) -> int:
        found = re.search(pattern, self.output)
        assert found, self.output
        return int(found[1])


async def call(port: int, method: str, path: str, body: bytes = b"") -> Answer:
    """Call a server on the loopback interface and read its whole answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n"
    with closing(writer):
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = await reader.read()
    head_bytes, _, rest = answer.partition(b"\r\n\r\n")
    return Answer(int(head_bytes.split()[1]), rest)


@asynccontextmanager
async def launched(
    folder: Path, settings: Settings = SETTINGS, prelude: str = ""
) -> AsyncIterator[Launched]:
    """Run hubgate with `settings` until the block ends; it may end by itself before.

    `prelude` is Python that runs in the process before anything else.
    """
    hubgate = launch_process(folder, settings, prelude)
    try:
        yield hubgate
    finally:
        if hubgate.process.poll() is None:
            hubgate.process.kill()
        hubgate.process.wait()


def launch_process(folder: Path, settings: Settings, prelude: str) -> Launched:
    """Start hubgate with `settings`, in a process group of its own."""
    folder.mkdir(exist_ok=True)
    settings_file, output_file = folder / "settings.pickle", folder / "output.txt"
    if settings.config_file is not None:
        settings = replace(settings, config_file=settings_file)
    settings_file.write_bytes(pickle.dumps(settings))
    with output_file.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", prelude + COMMAND, str(settings_file)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Launched(process, settings_file, output_file)
