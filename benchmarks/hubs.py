"""What a large hub asks of its proxy: big tables, many tunnels, slow readers, several workers."""

import contextlib
import http.client
import json
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain

from benchmarks.contenders import TOKEN, Running, Site, Start, contenders, hubgate
from benchmarks.processes import memory_bytes
from benchmarks.rows import _wrk, idle_tunnels

ROUTES = 100_000
# Two descriptors for each: where no process may open more than 20,000 files, 10,000 are too many.
TUNNELS = 9_800
Taken = dict[str, list[float]]


@dataclass(frozen=True)
class HubRow:
    """One row: `take(site, names)` returns its figures by contender."""

    name: str
    unit: str
    take: Callable[[Site, list[str]], Taken]


def take_hub_row(row: HubRow, site: Site, names: list[str]) -> Taken:
    """Measure one row."""
    return row.take(site, names)


class Api:
    """A kept-alive connection to a contender's API."""

    def __init__(self, running: Running) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", running.api_port, timeout=120)

    def call(self, method: str, path: str, target: str | None = None) -> bytes:
        """Call the API; raise when it refuses."""
        body = None if target is None else json.dumps({"target": target})
        self._connection.request(
            method, f"/api/routes{path}", body, {"Authorization": f"token {TOKEN}"}
        )
        answer = self._connection.getresponse()
        data = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {data[:200]!r}")
        return data


def _with_api(names: list[str]) -> dict[str, Start]:
    return {
        each.name: each.start
        for each in contenders()
        if each.present and each.name in names and each.name in ("hubgate", "CHP")
    }


def _each(measure: Callable[[Running, Site], float]) -> Callable[[Site, list[str]], Taken]:
    """Take one figure of every contender that has the API of routes."""

    def take(site: Site, names: list[str]) -> Taken:
        taken: Taken = {}
        for name, start in _with_api(names).items():
            with start(site, False) as running:
                taken[name] = [measure(running, site)]
        return taken

    return take


def _fill(running: Running, site: Site, count: int = ROUTES) -> None:
    target = f"http://127.0.0.1:{site.backend}"

    def add(numbers: range) -> None:
        api = Api(running)
        for number in numbers:
            api.call("POST", f"/user/somebody-{number}", target)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(add, [range(first, count, 4) for first in range(4)]))


def _match_cost(running: Running, site: Site) -> float:
    _fill(running, site)
    return statistics.median(
        _wrk(running, 3, f"/user/somebody-{ROUTES // 2}/small") for _ in range(3)
    )


def _memory_per_route(running: Running, site: Site) -> float:
    before = memory_bytes(running.process)
    _fill(running, site)
    return (memory_bytes(running.process) - before) / ROUTES


def _list_time(running: Running, site: Site) -> float:
    _fill(running, site)
    api = Api(running)
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        assert len(json.loads(api.call("GET", ""))) >= ROUTES
        times.append(time.perf_counter() - begun)
    return statistics.median(times) * 1000


def _p99_during_list(running: Running, site: Site) -> float:
    """Return the 99th percentile of small GETs, in ms, while the table is listed."""
    _fill(running, site)
    stop = threading.Event()

    def keep_listing() -> None:
        api = Api(running)
        while not stop.is_set():
            api.call("GET", "")

    lister = threading.Thread(target=keep_listing)
    lister.start()
    try:
        return _percentile(_latencies(running, 2000), 0.99) * 1000
    finally:
        stop.set()
        lister.join()


def _latencies(running: Running, count: int) -> list[float]:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
    times = []
    for _ in range(count):
        begun = time.perf_counter()
        connection.request("GET", "/small")
        connection.getresponse().read()
        times.append(time.perf_counter() - begun)
    return times


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[int(len(values) * share)]


def _changes(at_once: int, method: str) -> Callable[[Running, Site], float]:
    """Return the median time, in ms, of 500 adds or removes made `at_once` at a time."""

    def measure(running: Running, site: Site) -> float:
        target = f"http://127.0.0.1:{site.backend}"
        api = Api(running)
        if method == "DELETE":
            for number in range(500):
                api.call("POST", f"/user/{number}", target)

        def change(numbers: range) -> list[float]:
            mine, times = Api(running), []
            for number in numbers:
                begun = time.perf_counter()
                mine.call(method, f"/user/{number}", target if method == "POST" else None)
                times.append(time.perf_counter() - begun)
            return times

        with ThreadPoolExecutor(at_once) as threads:
            parts = [range(first, 500, at_once) for first in range(at_once)]
            return statistics.median(chain.from_iterable(threads.map(change, parts))) * 1000

    return measure


@contextlib.contextmanager
def _slow_readers(running: Running, count: int) -> Iterator[None]:
    socks = []
    for _ in range(count):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", running.port))
        sock.sendall(b"GET /big?104857600 HTTP/1.1\r\nHost: h\r\n\r\n")
        socks.append(sock)
    stop = threading.Event()

    def sip() -> None:
        while not stop.wait(0.05):
            for sock in socks:
                sock.recv(1024)

    sipper = threading.Thread(target=sip)
    sipper.start()
    try:
        yield
    finally:
        stop.set()
        sipper.join()
        for sock in socks:
            sock.close()


def _first_byte(running: Running, site: Site) -> float:
    with _slow_readers(running, 200):
        return statistics.median(_latencies(running, 300)) * 1000


def _everyone(measure: Callable[[Running, Site], float]) -> Callable[[Site, list[str]], Taken]:
    def take(site: Site, names: list[str]) -> Taken:
        taken: Taken = {}
        for each in contenders():
            if each.present and each.name in names:
                with each.start(site, False) as running:
                    taken[each.name] = [measure(running, site)]
        return taken

    return take


def _workers(site: Site, names: list[str]) -> Taken:
    taken: Taken = {}
    for count in (1, 2, 4):
        with hubgate("--workers", str(count))(site, False) as running:
            figures = [_wrk(running, 3, "/small", connections=64) for _ in range(3)]
            taken[f"hubgate, {count} worker{'s' if count > 1 else ''}"] = figures
    return taken


HUB_ROWS = (
    HubRow("small GET, 64 connections, by number of workers", "µs", _workers),
    HubRow(f"memory per idle tunnel, {TUNNELS:,} open", "KiB",
           _everyone(lambda running, _: idle_tunnels(TUNNELS)(running, 0))),
    HubRow("small GET with 100,000 routes in the table", "µs", _each(_match_cost)),
    HubRow("memory per route, 100,000 of them", "bytes", _each(_memory_per_route)),
    HubRow("listing 100,000 routes", "ms", _each(_list_time)),
    HubRow("99th percentile of a small GET during such lists", "ms", _each(_p99_during_list)),
    HubRow("adding a route, 1 at a time", "ms", _each(_changes(1, "POST"))),
    HubRow("adding a route, 50 at a time", "ms", _each(_changes(50, "POST"))),
    HubRow("removing a route, 1 at a time", "ms", _each(_changes(1, "DELETE"))),
    HubRow("removing a route, 50 at a time", "ms", _each(_changes(50, "DELETE"))),
    HubRow("first byte while 200 readers are slow", "ms", _everyone(_first_byte)),
)  # fmt: skip
