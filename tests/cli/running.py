"""Commands as real processes, and proxies among them that run until they are told to stop."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.environment import clean_environment

PATIENCE = 60.0
BIN = Path(sys.executable).parent
PROXYCTL = (str(BIN / "proxyctl"),)
DROP_IN = (sys.executable, "-P", "-m", "hubgate.cli.chp")
TOKEN = {"HUBGATE_TOKEN": "s3cret"}
FILE = """
listen: {port: 0}
api: {port: 0}
routes:
  /fixed: http://127.0.0.1:1
"""


@dataclass
class Proxy:
    """A running proxy, whose log says where it listens."""

    process: subprocess.Popen[bytes]
    log_file: Path

    @property
    def log(self) -> str:
        """What it has said so far."""
        return self.log_file.read_text()

    @property
    def url(self) -> str:
        """Where it proxies."""
        return self.wait_for(r"Proxying (\S+) to ")

    @property
    def api_url(self) -> str:
        """Where its API is."""
        return self.wait_for(r"Proxy API at (\S+)/api/routes")

    def wait_for(self, pattern: str) -> str:
        """Wait until the log matches; return the first group, or all that matched."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if found := re.search(pattern, self.log):
                return found[1] if found.groups() else found[0]
            assert self.process.poll() is None, f"ended:\n{self.log}"
            time.sleep(0.05)
        raise AssertionError(f"no {pattern!r} in the log:\n{self.log}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextmanager
def running(
    folder: Path, command: Sequence[str], *args: str, env: Mapping[str, str] | None = None
) -> Iterator[Proxy]:
    """Run a proxy in `folder` until the block ends, with all ports chosen by the kernel."""
    log = folder / "proxy.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *args],
            cwd=folder,
            env=clean_environment(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Proxy(process, log)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def run(
    command: Sequence[str],
    *args: str,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; its output are pipes."""
    return subprocess.run(
        [*command, *args],
        cwd=cwd,
        env=clean_environment(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
