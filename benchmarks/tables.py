"""The route table: what a large one costs, how long changes take, and a worker's replacement."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil

from benchmarks.api import Api, fill
from benchmarks.catalogue import HUBGATE
from benchmarks.contenders import Contender, Running, Setup
from benchmarks.cpu import Meter
from benchmarks.load import first_answer
from benchmarks.processes import memory_bytes
from benchmarks.traffic import Context, take_p99, take_wrk, wait_and_warm_up
from benchmarks.wrk import Load

LARGE_KEYS = (
    "routes-few",
    "routes-many",
    "memory-route",
    "list",
    "cpu-list",
    "p99-table",
    "p99-list",
    "p99-add",
    "replaced-many",
)


def take_large_table(context: Context, contender: Contender) -> None:
    """Fill a table, once, and measure everything that depends on its size."""
    routes, record = context.scale.routes, context.record
    with contender.start(context.site, Setup()) as started:
        wait_and_warm_up(context, started)
        for _ in range(context.scale.repeats):
            take_wrk(context, "routes-few", contender.name, started, Load("/small"))
        before = memory_bytes(started.process)
        fill(started.api_port, context.site.target, routes)
        time.sleep(1)
        used = memory_bytes(started.process) - before
        record.add("memory-route", contender.name, used / routes)
        many = Load(f"/user/somebody-{routes // 2}/small")
        for _ in range(context.scale.repeats):
            take_wrk(context, "routes-many", contender.name, started, many)
        with record.attempt(LARGE_KEYS[3:-1], contender.name):
            _take_lists(context, contender.name, started)
        if contender.name == HUBGATE:
            _take_replacement(context, "replaced-many", started)


def _take_lists(context: Context, name: str, started: Running) -> None:
    api = started.api()
    for _ in range(context.scale.repeats):
        meter, begun = Meter(started.process), time.perf_counter()
        text = api.call("GET")
        context.record.add("list", name, (time.perf_counter() - begun) * 1000)
        context.record.add("cpu-list", name, meter.used * 1000)
        if len(json.loads(text)) < context.scale.routes:
            raise RuntimeError("routes are missing from the list")
    for _ in range(context.scale.repeats):
        take_p99(context, "p99-table", name, started)
        with _keep_on(lambda api: api.call("GET"), started):
            take_p99(context, "p99-list", name, started)
        with _keep_on(lambda api: _change(api, context.site.target), started):
            take_p99(context, "p99-add", name, started)


def _change(api: Api, target: str) -> None:
    api.call("POST", "/user/somebody-else", target)
    api.call("DELETE", "/user/somebody-else")


@contextlib.contextmanager
def _keep_on(work: Callable[[Api], object], started: Running) -> Iterator[None]:
    """Do `work` with the API again and again, meanwhile."""
    stop = threading.Event()

    def keep_on() -> None:
        api = started.api()
        while not stop.is_set():
            work(api)

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(keep_on)
        try:
            yield
        finally:
            stop.set()
        working.result()


def take_replacement(context: Context, contender: Contender) -> None:
    """Measure how long a client waits for a response when the worker is killed."""
    with contender.start(context.site, Setup()) as started:
        wait_and_warm_up(context, started)
        _take_replacement(context, "replaced", started)


def _take_replacement(context: Context, key: str, started: Running) -> None:
    for _ in range(min(3, context.scale.repeats)):
        worker = _worker(started)
        begun = time.perf_counter()
        worker.kill()
        while worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.0005)
        first_answer(started.port)
        context.record.add(key, HUBGATE, (time.perf_counter() - begun) * 1000)
        time.sleep(0.5)


def _worker(started: Running) -> psutil.Process:
    # Another checkout may have another name for the package.
    (worker,) = (
        child
        for child in started.process.children()
        if child.name() == "hubgate-w0" or any(each.endswith(".worker") for each in child.cmdline())
    )
    return worker
