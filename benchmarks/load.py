"""Load that wrk cannot produce: websockets, crowds of connections, one client's latency."""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from benchmarks.processes import LOAD_CORE, pinned

_HERE = Path(__file__).parent
_REQUEST = b"GET %b HTTP/1.1\r\nHost: 127.0.0.1\r\n%b\r\n"
SETTLE = 0.7


@contextlib.contextmanager
def _script(name: str, *arguments: object) -> Iterator["Script"]:
    command = [sys.executable, str(_HERE / name), *map(str, arguments)]
    with subprocess.Popen(
        pinned(LOAD_CORE, command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield Script(process)
        finally:
            process.kill()


class Script:
    """A load in its own process, controlled by lines on stdin and stdout."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin: IO[str] = process.stdin
        self._stdout: IO[str] = process.stdout

    def tell(self, line: str) -> None:
        """Send it a line."""
        self._stdin.write(f"{line}\n")
        self._stdin.flush()

    def hear(self) -> str:
        """Return its next line; raise RuntimeError if it has ended."""
        line = self._stdout.readline().strip()
        if not line:
            raise RuntimeError(f"the load ended early, code {self._process.wait(10)}")
        return line


@contextlib.contextmanager
def tunnels(port: int, count: int, size: int) -> Iterator[Script]:
    """Hold tunnels open; `trips` makes them do round trips of `size` bytes."""
    with _script("tunnels.py", port, count, size) as script:
        script.hear()
        yield script


def trips(script: Script, seconds: float) -> int:
    """Run the open tunnels for that long; return how many round trips they made."""
    script.tell(str(seconds))
    return int(script.hear())


@contextlib.contextmanager
def crowd(port: int, kinds: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """Keep crowds connected (see crowd.py); yield how many of each kind connected."""
    with _script("crowd.py", port, *(word for pair in kinds.items() for word in pair)) as script:
        came = dict(zip(kinds, map(int, script.hear().split()[1:]), strict=True))
        time.sleep(SETTLE)
        yield came
        script.tell("")
        left = dict(zip(kinds, map(int, script.hear().split()[1:]), strict=True))
        for kind, number in left.items():
            # Slow heads are cut off and reconnect.
            if number < came[kind] * (0.8 if kind == "head" else 0.99):
                raise RuntimeError(f"of {came[kind]} ({kind}) only {number} stayed")


def latencies(port: int, count: int, most_seconds: float = 5.0) -> list[float]:
    """Return the seconds that each of `count` GETs took, on one kept-alive connection.

    Returns fewer if they would take longer than `most_seconds` in total.
    """
    request = _REQUEST % (b"/small", b"")
    times: list[float] = []
    deadline = time.perf_counter() + most_seconds
    with socket.create_connection(("127.0.0.1", port), 60) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while len(times) < count and (begun := time.perf_counter()) < deadline:
            sock.sendall(request)
            _read_answer(sock)
            times.append(time.perf_counter() - begun)
    return times


def first_answer(port: int, patience: float = 30.0) -> None:
    """Return once a GET gets a 200; retry when the connection breaks, for `patience` seconds."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", port), patience) as sock,
        ):
            sock.sendall(_REQUEST % (b"/small", b"Connection: close\r\n"))
            _read_answer(sock)
            return
    raise RuntimeError(f"no answer within {patience:g} s")


def _read_answer(sock: socket.socket) -> None:
    data = b""
    while (end := data.find(b"\r\n\r\n")) < 0:
        data += _some(sock)
    head = data[:end].lower()
    if not head.startswith(b"http/1.1 200"):
        raise RuntimeError(f"not served: {head[:60]!r}")
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    while len(data) < end + 4 + length:
        data += _some(sock)


def _some(sock: socket.socket) -> bytes:
    data = sock.recv(65536)
    if not data:
        raise ConnectionError("the connection ended before the response did")
    return data


def percentile(values: list[float], share: float) -> float:
    """Return the value that a `share` (0 to 1) of all values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
