"""How long a proxy takes to respond after a start, and under a hub after it was killed.

`python -m benchmarks.restart [ROUNDS]`; a round takes a few seconds.
"""

import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from tests.browser import hub as hubs
from tests.contract.ports import free_ports

REQUEST = b"GET /_chp_healthz HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n"
PAUSE = 3.0  # seconds for the machine to settle
STEP = 0.002


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        show("start to first response", (start(folder) for _ in range(rounds)))
        show("kill to first response", kills(folder, rounds))


def show(what: str, times: Iterable[float]) -> None:
    found = sorted(times)
    middle, first, last = statistics.median(found), found[0], found[-1]
    print(f"{what}: median {middle:.2f} s, {first:.2f} to {last:.2f} s in {len(found)} rounds")


def start(folder: Path) -> float:
    """Start the drop-in command as a hub does; return the seconds until its first response."""
    port, api_port = free_ports()
    command = [
        *(sys.executable, "-P", "-m", "hubgate.cli.chp", "--ip", "127.0.0.1", "--port", str(port)),
        *("--api-ip", "127.0.0.1", "--api-port", str(api_port), "--log-level", "error"),
    ]
    own = {"CONFIGPROXY_AUTH_TOKEN": secrets.token_hex(8), "XDG_STATE_HOME": str(folder)}
    begun = time.monotonic()
    process = subprocess.Popen(command, env=os.environ | own)
    wait_for_answer(port)
    taken = time.monotonic() - begun
    time.sleep(PAUSE / 3)
    process.terminate()
    process.wait()
    return taken


def kills(folder: Path, rounds: int) -> Iterable[float]:
    """Run a hub and kill its proxy `rounds` times; yield the seconds until the next response."""
    hub = hubs.start(folder, tls=False)
    port = int(hub.url.rpartition(":")[2])
    try:
        for _ in range(rounds):
            time.sleep(PAUSE)
            killed = [hub.proxy(), *hub.workers()]
            begun = time.monotonic()
            for process in killed:
                process.kill()
            wait_for_answer(port)
            yield time.monotonic() - begun
    finally:
        hub.stop()


def wait_for_answer(port: int) -> None:
    while not answers(port):
        time.sleep(STEP)


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
            sock.sendall(REQUEST)
            return sock.recv(100).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


if __name__ == "__main__":
    main()
