"""`python -m benchmarks.large_tables`: how hubgate alone handles a large route table.

A start with the table in SQLite, a killed worker, memory per route in either process, lists, and
how long other requests wait meanwhile. Each route has its own target and the data JupyterHub posts.
"""

import argparse
import contextlib
import http.client
import os
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.processes import LOAD_CORE, PROXY_CORE, free_port, running
from hubgate.model import Route
from hubgate.store.records import encode
from hubgate.store.sqlite_file import open_file

TOKEN = {"Authorization": "token benchmark"}
BACKEND = str(Path(__file__).with_name("backend.py"))


@dataclass(frozen=True)
class Proxy:
    """A running hubgate with one worker: its process and its two ports."""

    process: psutil.Process
    port: int
    api_port: int

    @property
    def worker(self) -> psutil.Process:
        """The worker's process."""
        return next(each for each in self.process.children() if each.name() == "hubgate-w0")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.large_tables", description=__doc__)
    parser.add_argument("--routes", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, _backend(Path(name)) as backend:
        _measure(Path(name), backend, options.routes, options.rounds)
    return 0


@contextlib.contextmanager
def _backend(folder: Path) -> Iterator[int]:
    port = free_port()
    with running([sys.executable, BACKEND, str(port)], folder, [port], core=LOAD_CORE):
        yield port


def _measure(folder: Path, backend: int, count: int, rounds: int) -> None:
    empty, full = folder / "empty.db", folder / "full.db"
    _fill(empty, backend, 0)
    _fill(full, backend, count)
    with _started(folder, empty) as proxy:
        bare = [_memory(each) for each in (proxy.process, proxy.worker)]
    begun = time.perf_counter()
    with _started(folder, full) as proxy:
        _show("start to first response of port and API", time.perf_counter() - begun, "s")
        for what, process, before in zip(
            ("supervisor", "worker"), (proxy.process, proxy.worker), bare, strict=True
        ):
            _show(f"memory per route, {what}", (_memory(process) - before) / count, "bytes")
        _show("killed worker to first response", _replacements(proxy, rounds), "s")
        _while(proxy, "a worker is replaced", lambda: _replace(proxy), rounds, ("api",))
        lister = http.client.HTTPConnection("127.0.0.1", proxy.api_port, timeout=60)
        for name, query in (("list", ""), ("list of idle routes", "?inactiveSince=2001-01-01")):
            times = [_timed(lambda: _get(lister, "/api/routes" + query)) for _ in range(rounds)]  # noqa: B023
            _show(f"{name}", statistics.median(times) * 1000, "ms")
        everything = ("api", "port")
        _while(proxy, "lists run", lambda: _get(lister, "/api/routes"), rounds, everything)
        for what, process, before in zip(
            ("supervisor", "worker"), (proxy.process, proxy.worker), bare, strict=True
        ):
            _show(f"memory per route, {what}, at end", (_memory(process) - before) / count, "bytes")


def _fill(path: Path, backend: int, count: int) -> None:
    connection = open_file(path)
    rows = [_route("/", f"http://127.0.0.1:{backend}")]
    for number in range(count):
        a, b = divmod(number, 250)
        rows.append(_route(f"/user/somebody-{number}", f"http://10.1.{a % 250}.{b + 1}:8888"))
    rows.append(_route("/user/first", f"http://127.0.0.1:{backend}"))
    with connection:
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO routes VALUES (?, ?, ?, ?)",
            [(route.key, *encode(route), time.time() - 3600) for route in rows],
        )
    connection.close()


def _route(key: str, target: str) -> Route:
    data = {"user": key.rpartition("/")[2], "server_name": "", "target": target, "jupyterhub": True}
    return Route(key, target, data)


@contextlib.contextmanager
def _started(folder: Path, store: Path) -> Iterator[Proxy]:
    port, api_port = free_port(), free_port()
    command = [str(Path(sys.executable).with_name("proxyctl")), "serve", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--api-port", str(api_port), "--store", f"sqlite:{store}"]
    env = {"HUBGATE_TOKEN": "benchmark", "XDG_STATE_HOME": str(folder)}
    with running(command, folder, [port, api_port], env, PROXY_CORE) as process:
        proxy = Proxy(process, port, api_port)
        _answer(proxy)
        yield proxy


def _answer(proxy: Proxy) -> None:
    """Return once the public port has responded for a user's route."""
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=60)
            assert _get(connection, "/user/first/small")
            return
        except (ConnectionError, http.client.HTTPException):
            continue
        finally:
            connection.close()


def _get(connection: http.client.HTTPConnection, path: str) -> bytes:
    connection.request("GET", path, headers=TOKEN)
    response = connection.getresponse()
    data = response.read()
    if response.status != 200:
        raise RuntimeError(f"GET {path}: {response.status} {data[:200]!r}")
    return data


def _replace(proxy: Proxy) -> None:
    os.kill(proxy.worker.pid, signal.SIGKILL)
    _answer(proxy)


def _replacements(proxy: Proxy, rounds: int) -> float:
    times = []
    for _ in range(rounds):
        times.append(_timed(lambda: _replace(proxy)))
        time.sleep(1)
    return statistics.median(times)


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _while(
    proxy: Proxy, what: str, work: Callable[[], object], rounds: int, asked: tuple[str, ...]
) -> None:
    """Show how long other requests wait while `work` is repeated."""
    places = {
        "api": (proxy.api_port, "/api/routes/user/first"),
        "port": (proxy.port, "/user/first/small"),
    }
    for name in asked:
        stop = threading.Event()
        times: list[float] = []
        asking = threading.Thread(target=_ask_on, args=(*places[name], stop, times))
        asking.start()
        for _ in range(rounds):
            work()
            time.sleep(0.2)
        stop.set()
        asking.join()
        times.sort()
        p99 = times[int(len(times) * 0.99)] * 1000
        _show(f"{name} while {what}: p99", p99, "ms")
        _show(f"{name} while {what}: longest", times[-1] * 1000, "ms")


def _ask_on(port: int, path: str, stop: threading.Event, times: list[float]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while not stop.is_set():
        times.append(_timed(lambda: _get(connection, path)))
        time.sleep(0.002)
    connection.close()


def _memory(process: psutil.Process) -> int:
    return int(process.memory_full_info().uss)


def _show(what: str, value: float, unit: str) -> None:
    print(f"{what:55} {value:10.3f} {unit}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
