import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass

import pytest

from hubgate.model import Limits, Route, RouteOptions, ServerTLS, WorkerConfig
from hubgate.worker.link import Link
from hubgate.worker.messages import (
    Ack,
    Change,
    Collect,
    Collected,
    Configure,
    Configured,
    Drain,
    Drained,
    Hello,
    InheritedSocket,
    Message,
    Ready,
    SocketKind,
    Start,
    Table,
)
from tests.control.waiting import until

pytestmark = pytest.mark.processes

NOBODY_HOME = "http://127.0.0.1:9"


@dataclass
class Scripted:
    """A real worker process whose supervisor is the test."""

    process: subprocess.Popen[bytes]
    link: Link
    listener: socket.socket

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.listener.getsockname()
        return host, port

    async def next(self) -> Message:
        return await asyncio.wait_for(self.link.receive(), 30)

    async def start(self, routes: Sequence[Route] = (), revision: int = 0) -> None:
        assert await self.next() == Hello(self.process.pid)
        sockets = (InheritedSocket(self.listener.fileno(), SocketKind.PUBLIC),)
        self.link.send(Start(WorkerConfig(), sockets, revision, tuple(routes)))
        assert await self.next() == Ready()

    async def status(self, path: str) -> int:
        reader, writer = await asyncio.open_connection(*self.address)
        with closing(writer):
            writer.write(f"GET {path} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n".encode())
            answer = await reader.read()
        return int(answer.split()[1])


def run_worker(link_fd: int, listener_fd: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", "hubgate.worker", str(link_fd), str(os.getpid())]
    return subprocess.Popen(command, pass_fds=(link_fd, listener_fd), stderr=subprocess.PIPE)


def log_of(worker: Scripted) -> list[bytes]:
    """Return what it has logged until its end."""
    assert worker.process.stderr is not None
    return worker.process.stderr.read().splitlines()


@pytest.fixture
async def worker() -> AsyncIterator[Scripted]:
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        ours, theirs = socket.socketpair()
        with theirs:
            process = run_worker(theirs.fileno(), listener.fileno())
        assert process.stderr is not None
        stack.callback(process.stderr.close)
        stack.callback(process.wait)
        stack.callback(process.kill)
        link = await Link.open(ours)
        stack.push_async_callback(link.close)
        yield Scripted(process, link, listener)


async def ended(worker: Scripted) -> int:
    await until(lambda: worker.process.poll() is not None)
    return worker.process.returncode


async def test_starts_with_the_table_it_is_given(worker: Scripted) -> None:
    options = RouteOptions(headers=(("X-A", "b"),))
    others = (Route("/other", NOBODY_HOME, options=options),)
    worker.link.send(Table(("/a",), (NOBODY_HOME,), others))
    await worker.start([Route("/b", NOBODY_HOME)])
    assert [await worker.status(path) for path in ("/a", "/b", "/other", "/c")] == [
        *(503, 503, 503, 404),
    ]


async def test_acknowledges_changes_in_order_once_they_hold(worker: Scripted) -> None:
    await worker.start()
    worker.link.send(Change(1, (Route("/a", NOBODY_HOME),), ()))
    worker.link.send(Change(2, (Route("/b", NOBODY_HOME),), ("/a",)))
    assert [await worker.next(), await worker.next()] == [Ack(1), Ack(2)]
    assert [await worker.status(path) for path in ("/a", "/b")] == [404, 503]


async def test_applies_what_was_sent_before_it_was_ready(worker: Scripted) -> None:
    assert isinstance(await worker.next(), Hello)
    sockets = (InheritedSocket(worker.listener.fileno(), SocketKind.PUBLIC),)
    worker.link.send(Start(WorkerConfig(), sockets, 4, ()))
    worker.link.send(Change(5, (Route("/a", NOBODY_HOME),), ()))
    assert [await worker.next(), await worker.next()] == [Ready(), Ack(5)]
    assert await worker.status("/a") == 503


async def test_reports_only_what_is_new(worker: Scripted) -> None:
    await worker.start()
    await worker.status("/a")
    counted = []
    for number in (1, 2):
        worker.link.send(Collect(number))
        answer = await worker.next()
        assert isinstance(answer, Collected)
        assert answer.id == number
        counted.append(answer.report.counters.get("requests_web", 0))
    assert counted == [1, 0]


async def test_drains_with_last_words(worker: Scripted) -> None:
    await worker.start()
    await worker.status("/a")
    worker.link.send(Drain(5.0))
    last = await worker.next()
    assert isinstance(last, Collected)
    assert last.report.counters["requests_web"] == 1
    assert await worker.next() == Drained()
    assert await ended(worker) == 0


async def test_changes_are_acknowledged_while_draining(worker: Scripted) -> None:
    await worker.start()
    reader, writer = await asyncio.open_connection(*worker.address)
    writer.write(b"POST / HTTP/1.1\r\nHost: hub\r\nContent-Length: 5\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")  # 404 is out, the body is not in: not yet closed
    worker.link.send(Drain(20.0))
    worker.link.send(Change(1, (), ()))
    answers = [await worker.next()]
    while Ack(1) not in answers:
        answers.append(await worker.next())
    writer.close()


async def test_end_of_the_link_ends_it_at_once_and_frees_the_port(worker: Scripted) -> None:
    await worker.start()
    reader, writer = await asyncio.open_connection(*worker.address)
    writer.write(b"GET /_chp_healthz HTTP/1.1\r\nHost: hub\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    address = worker.address
    worker.listener.close()
    await worker.link.close()
    assert await ended(worker) == 1
    with socket.create_server(address):
        pass
    writer.close()


async def test_a_signal_to_the_whole_group_leaves_it_running(worker: Scripted) -> None:
    await worker.start()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        worker.process.send_signal(number)
    worker.link.send(Collect(1))
    assert isinstance(await worker.next(), Collected)


async def test_takes_over_other_settings(worker: Scripted) -> None:
    await worker.start([Route("/", NOBODY_HOME)])
    limits = Limits(request_line=100)
    worker.link.send(Configure(1, WorkerConfig(limits=limits)))
    assert await worker.next() == Configured(1, None)
    assert await worker.status("/" + 200 * "a") == 414


async def test_says_which_settings_it_cannot_take_over(worker: Scripted) -> None:
    await worker.start()
    tls = ServerTLS("no.pem", "no-key.pem")
    worker.link.send(Configure(1, WorkerConfig(tls=tls)))
    answer = await worker.next()
    assert isinstance(answer, Configured)
    assert answer.mistake is not None
    assert "no.pem" in answer.mistake
    assert await worker.status("/") == 404


async def test_an_unexpected_message_is_survived(worker: Scripted) -> None:
    await worker.start()
    worker.link.send(Ready())
    worker.link.send(Change(1, (), ()))
    assert await worker.next() == Ack(1)


@pytest.mark.parametrize("end", ["drain", "link"])
async def test_what_it_logged_last_is_written(worker: Scripted, end: str) -> None:
    await worker.start()
    # Each is a line, and the last one is logged just before the end.
    for _ in range(50):
        worker.link.send(Drained())
    if end == "drain":
        worker.link.send(Drain(5.0))
        assert isinstance(await worker.next(), Collected)
    else:
        await worker.link.flush()
        await worker.link.close()
    await ended(worker)
    lines = [line for line in log_of(worker) if b"sent an unexpected Drained" in line]
    assert len(lines) == 50
