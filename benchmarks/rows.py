"""What is measured: each row is one kind of work, and how one contender's figure is taken."""

import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contenders import Running
from benchmarks.processes import LOAD_CORE, cpu_seconds, memory_bytes, pinned

BROWSER = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language: en-US,en;q=0.5",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Referer: http://127.0.0.1/user/alice/lab",
    "Cookie: _xsrf=2|f3a1b2c4|0123456789abcdef0123456789abcdef|1700000000; username-127-0-0-1=ab",
    "Upgrade-Insecure-Requests: 1",
    "Sec-Fetch-Dest: document",
)
GIB = 1 << 30


@dataclass(frozen=True)
class Row:
    """One row: `take(running, seconds)` returns the figure in `unit`; smaller is better.

    `wanted` maps a contender's name to the largest ratio of hubgate's figure to its figure,
    `most` is the largest figure of hubgate's own.
    """

    name: str
    unit: str
    take: Callable[[Running, float], float]
    wanted: dict[str, float]
    tls: bool = False
    most: float | None = None


def _wrk(
    running: Running,
    seconds: float,
    path: str,
    *flags: str,
    connections: int = 32,
    tls: bool = False,
) -> float:
    """Return CPU microseconds of the proxy per request."""
    url = f"{'https' if tls else 'http'}://127.0.0.1:{running.port}{path}"
    headers = [word for line in BROWSER for word in ("-H", line)]
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{max(1, round(seconds))}s",
        *headers,
        *flags,
        url,
    ]
    before = cpu_seconds(running.process)
    done = subprocess.run(pinned(LOAD_CORE, command), capture_output=True, text=True, check=True)
    used = cpu_seconds(running.process) - before
    if match := re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout):
        raise RuntimeError(f"{match[1]} requests failed:\n{done.stdout}")
    requests = int(re.search(r"(\d+) requests in", done.stdout)[1])  # type: ignore[index]
    return used / requests * 1e6


def warm_up(running: Running, tls: bool) -> None:
    """Wait for the first answer, then let everything run for a second."""
    url = f"{'https' if tls else 'http'}://127.0.0.1:{running.port}/small"
    subprocess.run(["curl", "-sfk", "-o", "/dev/null", url], check=True, timeout=60)
    _wrk(running, 1, "/small", tls=tls)


def _get(path: str, *flags: str, connections: int = 32, tls: bool = False) -> Callable[..., float]:
    return lambda running, seconds: _wrk(
        running, seconds, path, *flags, connections=connections, tls=tls
    )


def _download(running: Running, _: float) -> float:
    """Return CPU seconds of the proxy for one GiB."""
    url = f"http://127.0.0.1:{running.port}/big?{GIB}"
    command = ["curl", "-s", "-o", "/dev/null", "-w", "%{size_download}", url]
    before = cpu_seconds(running.process)
    done = subprocess.run(pinned(LOAD_CORE, command), capture_output=True, text=True, check=True)
    if int(done.stdout) != GIB:
        raise RuntimeError(f"{done.stdout} bytes came of {GIB}")
    return cpu_seconds(running.process) - before


class Tunnels:
    """Many websockets through one contender, in a process of their own."""

    def __init__(self, running: Running, count: int, size: int, seconds: float) -> None:
        script = str(Path(__file__).with_name("tunnels.py"))
        arguments = [str(running.port), str(count), str(size), str(seconds)]
        self._process = subprocess.Popen(
            pinned(LOAD_CORE, [sys.executable, script, *arguments]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != "open":
            raise RuntimeError("the tunnels did not open")

    def run(self) -> int:
        """Let the load begin; return how many round trips there were when it has ended."""
        out, _ = self._process.communicate("\n", timeout=600)
        return int(out)


def _trips(size: int) -> Callable[[Running, float], float]:
    def take(running: Running, seconds: float) -> float:
        tunnels = Tunnels(running, 32, size, seconds)
        before = cpu_seconds(running.process)
        trips = tunnels.run()
        return (cpu_seconds(running.process) - before) / trips * 1e6

    return take


def idle_tunnels(count: int) -> Callable[[Running, float], float]:
    """Return how to take the memory of one idle tunnel, in KiB, with `count` of them open."""

    def take(running: Running, _: float) -> float:
        # The first tunnels pay for what stays: it is not theirs alone.
        Tunnels(running, 100, 256, 0).run()
        before = memory_bytes(running.process)
        tunnels = Tunnels(running, count, 256, 0)
        time.sleep(1)
        used = memory_bytes(running.process) - before
        tunnels.run()
        return used / count / 1024

    return take


UPLOAD = str(Path(__file__).with_name("upload.lua"))

TLS_ROW = Row(
    "small GET over TLS", "µs", _get("/small", tls=True), {"CHP": 1 / 5, "nginx": 2}, tls=True
)
ROWS = (
    Row("small GET, browser headers, keep-alive, 32 connections", "µs", _get("/small"),
        {"CHP": 1 / 6, "Caddy": 1 / 2, "nginx": 2}),
    Row("small GET, 512 connections", "µs", _get("/small", connections=512), {}),
    Row("64 KiB page", "µs", _get("/page"), {"CHP": 1 / 5, "nginx": 1}),
    Row("new connection per request", "µs", _get("/small", "-H", "Connection: close"),
        {"CHP": 1 / 5, "Caddy": 1}),
    Row("64 KiB upload", "µs", _get("/upload", "-s", UPLOAD), {"CHP": 1 / 4, "nginx": 1.5}),
    Row("download, CPU s per GiB", "s", _download, {"Caddy": 1}),
    Row("websocket round trip, 256 B", "µs", _trips(256), {"nginx": 1.1}),
    Row("websocket round trip, 64 KiB", "µs", _trips(65536), {"Caddy": 1}),
    TLS_ROW,
    Row("memory per idle tunnel, 1,000 open", "KiB", idle_tunnels(1000), {}, most=12),
)  # fmt: skip
