"""What an option of hubgate costs: started with and without it, and measured in turns."""

import contextlib
import statistics
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from functools import cache

from benchmarks.catalogue import HUBGATE
from benchmarks.contenders import DROP_IN, Contender, Running, Setup
from benchmarks.processes import free_port, memory_bytes
from benchmarks.traffic import Context, take_wrk, wait_and_warm_up
from benchmarks.wrk import Load

MIB = 1 << 20
WORKERS = (1, 2, 4)


def take_plain_and_options(context: Context, contender: Contender) -> None:
    """Measure small GETs with metrics scraped, with access logs, and with neither."""
    port = free_port()
    setups = {"plain": Setup(), "metrics": Setup(flags=("--metrics-port", str(port)))}
    if contender.name == HUBGATE:
        if knows("--access-log"):
            path = context.site.folder / "access.log"
            setups["access-log"] = Setup(flags=("--access-log", str(path)))
        else:
            context.record.note("access-log", HUBGATE, "skipped: the command has no --access-log")
    scraped = {"metrics": f"http://127.0.0.1:{port}/metrics"}
    _in_turns(context, contender, setups, Load("/small"), scraped)


@cache
def knows(flag: str) -> bool:
    """Return whether hubgate's drop-in command has that flag."""
    done = subprocess.run([DROP_IN, "--help"], capture_output=True, text=True, check=True)
    return f"{flag} " in done.stdout


def take_workers(context: Context, contender: Contender) -> None:
    """Measure small GETs with several workers, and the memory of each worker."""
    setups = {f"workers-{count}": Setup(workers=count) for count in WORKERS}
    load = Load("/small", connections=64)
    memory = _in_turns(context, contender, setups, load)
    fewest, most = f"workers-{WORKERS[0]}", f"workers-{WORKERS[-1]}"
    each = (memory[most] - memory[fewest]) / (WORKERS[-1] - WORKERS[0])
    context.record.add("memory-worker", contender.name, each / MIB)


def _in_turns(
    context: Context,
    contender: Contender,
    setups: Mapping[str, Setup],
    load: Load,
    scraped: Mapping[str, str] | None = None,
) -> dict[str, int]:
    """Measure one row per setup; return the memory of each in bytes, before its traffic.

    All are started at once: an idle one costs the others nothing.
    """
    with contextlib.ExitStack() as stack:
        started: dict[str, Running] = {}
        for key, setup in setups.items():
            started[key] = stack.enter_context(contender.start(context.site, setup))
        memory = {key: memory_bytes(each.process) for key, each in started.items()}
        for each in started.values():
            wait_and_warm_up(context, each)
        for _ in range(context.scale.repeats):
            for key, each in started.items():
                with _scraping((scraped or {}).get(key)):
                    take_wrk(context, key, contender.name, each, load)
    return memory


@contextlib.contextmanager
def _scraping(url: str | None) -> Iterator[None]:
    """Fetch `url` once a second, more often than Prometheus would."""
    if url is None:
        yield
        return
    failures: list[Exception] = []
    stop = threading.Event()
    thread = threading.Thread(target=_scrape, args=(url, stop, failures.append))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if failures:
        raise failures[0]


def _scrape(url: str, stop: threading.Event, failed: Callable[[Exception], None]) -> None:
    while not stop.is_set():
        try:
            urllib.request.urlopen(url, timeout=10).read()
        except OSError as error:
            failed(error)
            return
        stop.wait(1)


def take_memory_at_start(context: Context, contender: Contender) -> None:
    """Measure the memory of a contender that has just started."""
    taken = []
    for _ in range(min(2, context.scale.repeats)):
        with contender.start(context.site, Setup()) as started:
            time.sleep(1)
            taken.append(memory_bytes(started.process))
    context.record.add("memory-base", contender.name, statistics.median(taken) / MIB)
