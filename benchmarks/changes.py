"""Changes of routes, hubgate with each store beside configurable-http-proxy, in turns."""

import contextlib
import select
import shutil
import socket
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.api import TOKEN, Api
from benchmarks.catalogue import BEFORE, HUBGATE
from benchmarks.contenders import Contender, Running, Setup
from benchmarks.cpu import Meter
from benchmarks.processes import LOAD_CORE, free_port, running
from benchmarks.record import say
from benchmarks.traffic import Context

AT_ONCE = (1, 50)
BULK = 500
_READ = 65536


@dataclass(frozen=True)
class Variant:
    """A way to run hubgate, named by what its rows end with; `replicas` share one table."""

    name: str
    store: str = ""
    workers: int = 1
    replicas: int = 1

    def row(self, of: str) -> str:
        """Return the key of the row that `of` has for this variant."""
        return f"{of}-{self.name}" if self.name else of


@dataclass(frozen=True)
class Subject:
    """What is measured: a variant of a contender, running; changes go to the first replica."""

    contender: str
    variant: Variant
    replicas: tuple[Running, ...]

    def api(self) -> Api:
        """Return a connection to its API."""
        return self.replicas[0].api()


_MEMORY = Variant("")
_OTHERS = (
    Variant("w2", workers=2),
    Variant("sqlite", "sqlite"),
    Variant("redis", "redis"),
    Variant("redis-3", "redis", replicas=3),
)


def take_changes(context: Context, contenders: Sequence[Contender]) -> None:
    """Measure adding and removing routes: all contenders run at once, and take turns.

    The first round warms them up.
    """
    with contextlib.ExitStack() as stack:
        subjects = _start(context, contenders, stack)
        for number in range(context.scale.repeats + 1):
            say(f"round {number} of {context.scale.repeats}")
            for subject in subjects:
                _take_round(context, subject, count=number > 0)


def _start(
    context: Context, contenders: Sequence[Contender], stack: contextlib.ExitStack
) -> list[Subject]:
    subjects = []
    redis = stack.enter_context(_redis(context))
    for contender in contenders:
        variants = (_MEMORY, *_OTHERS) if contender.name == HUBGATE else (_MEMORY,)
        for variant in variants:
            if variant.store == "redis" and not redis:
                say("  redis-server is not installed")
                continue
            flags = _flags(context, variant, redis)
            setup = Setup(workers=variant.workers, flags=flags)
            replicas = [
                stack.enter_context(contender.start(context.site, setup))
                for _ in range(variant.replicas)
            ]
            subjects.append(Subject(contender.name, variant, tuple(replicas)))
    return subjects


def _flags(context: Context, variant: Variant, redis: str) -> tuple[str, ...]:
    stores = {
        "": (),
        "sqlite": ("--storage-backend", f"sqlite:{context.site.folder}/routes.db"),
        "redis": ("--storage-backend", f"{redis}?prefix=bench-{variant.replicas}"),
    }
    return stores[variant.store]


@contextlib.contextmanager
def _redis(context: Context) -> Iterator[str]:
    """Run a Redis that writes nothing to the disk; yield its URL, "" if there is none."""
    program, port = shutil.which("redis-server"), free_port()
    if program is None:
        yield ""
        return
    command = [program, "--port", str(port), "--save", "", "--appendonly", "no"]
    with running(command, context.site.folder, [port], core=LOAD_CORE):
        yield f"redis://127.0.0.1:{port}/0"


def _take_round(context: Context, subject: Subject, count: bool) -> None:
    """Make all kinds of changes once, and undo them; `count` what they take."""

    def add(row: str, value: float) -> None:
        if count:
            context.record.add(subject.variant.row(row), subject.contender, value)

    changes = context.scale.changes
    for at_once in AT_ONCE:
        with _connected(subject.replicas[0].api_port, at_once) as load:
            for method, word in (("POST", "add"), ("DELETE", "remove")):
                meters = [Meter(each.process) for each in subject.replicas]
                times = load.change(method, context.site.target, changes)
                used = sum(meter.used for meter in meters)
                add(f"{word}-{at_once}", statistics.median(times) * 1000)
                if word == "add":
                    add(f"cpu-add-{at_once}", used / changes * 1e6)
    if not subject.variant.name:
        add("add-python", _with_http_client(subject.api(), context.site.target, changes) * 1000)
    if subject.contender in (HUBGATE, BEFORE):
        add("put-500", _put(subject.api(), context.site.target) * 1000)


def _put(api: Api, target: str) -> float:
    """Return the seconds in which many routes are added by one call; there are none before."""
    wanted = {f"/user/{number}": target for number in range(BULK)}
    api.replace({})
    begun = time.perf_counter()
    api.replace(wanted)
    took = time.perf_counter() - begun
    api.replace({})
    return took


def _with_http_client(api: Api, target: str, count: int) -> float:
    """Return the median seconds of adding a route, for a client in Python."""
    times = []
    for number in range(count):
        begun = time.perf_counter()
        api.call("POST", f"/user/{number}", target)
        times.append(time.perf_counter() - begun)
    for number in range(count):
        api.call("DELETE", f"/user/{number}")
    return statistics.median(times)


class ChangeLoad:
    """Connections that make changes; as little of the client as can be is in the times."""

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        self._sockets = {each.fileno(): each for each in sockets}
        self._poll = select.epoll()
        for fd in self._sockets:
            self._poll.register(fd, select.EPOLLIN)

    def __repr__(self) -> str:
        return f"<ChangeLoad of {len(self._sockets)} connections>"

    def change(self, method: str, target: str, count: int) -> list[float]:
        """Add or delete so many routes; return the seconds of each. Raises RuntimeError."""
        requests = iter([_request(method, f"/user/{each}", target) for each in range(count)])
        begun: dict[int, float] = {}
        times: list[float] = []
        for fd, request in zip(self._sockets, requests, strict=False):
            self._send(fd, request, begun)
        while len(times) < count:
            for fd, _ in self._poll.poll():
                self._read(fd)
                times.append(time.perf_counter() - begun[fd])
                if (request := next(requests, None)) is not None:
                    self._send(fd, request, begun)
        return times

    def _send(self, fd: int, request: tuple[bytes, bytes], begun: dict[int, float]) -> None:
        begun[fd] = time.perf_counter()
        # One after the other, as a hub's client does it.
        for part in filter(None, request):
            self._sockets[fd].sendall(part)

    def _read(self, fd: int) -> None:
        data = self._sockets[fd].recv(_READ)
        chunked = b"chunked" in data
        while not data.endswith(b"0\r\n\r\n" if chunked else b"\r\n\r\n"):
            more = self._sockets[fd].recv(_READ)
            if not more:
                break
            data += more
        if data[9:12] not in (b"201", b"204"):
            raise RuntimeError(f"a change got {data[:200]!r}")


def _request(method: str, path: str, target: str) -> tuple[bytes, bytes]:
    """Return head and body; a hub sends as much."""
    name = path.rpartition("/")[2]
    text = f'{{"target": "{target}", "user": "{name}", "server_name": "", "jupyterhub": true}}'
    body = text if method == "POST" else ""
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    head = f"{method} /api/routes{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{length}"
    return f"{head}Authorization: token {TOKEN}\r\n\r\n".encode(), body.encode()


@contextlib.contextmanager
def _connected(port: int, count: int) -> Iterator[ChangeLoad]:
    # Anew for each figure: Node.js closes a connection that was idle for five seconds.
    with contextlib.ExitStack() as stack:
        sockets = []
        for _ in range(count):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", port), 60))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sockets.append(sock)
        yield ChangeLoad(sockets)
