"""A pool that gives its workers away while one of them ends."""

import logging
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest
import uvloop

from hubgate.control.handover import HandedWorker
from hubgate.control.workers.pool import WorkerPool
from hubgate.control.workers.process import WorkerProcess
from hubgate.control.workers.spawn import AdoptedProcess
from hubgate.model import Report, WorkerConfig
from tests.control.waiting import until


class Nobody:
    """Hears of no worker."""

    def add(self, worker: int, report: Report) -> None:
        pass

    def forget(self, worker: int) -> None:
        pass


@dataclass
class Child:
    """A child that reads its standard input to the end, and the link of a worker in its place."""

    process: subprocess.Popen[bytes]
    theirs: socket.socket
    handed: HandedWorker

    def end(self, number: signal.Signals | None) -> None:
        """Let it end by a signal or by itself; it is there to be reaped when this returns."""
        if number is None:
            assert self.process.stdin is not None
            self.process.stdin.close()
        else:
            os.kill(self.process.pid, number)
        os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)
        self.theirs.close()


@pytest.fixture
def children() -> Iterator[list[Child]]:
    started = [start(index) for index in range(2)]
    yield started
    for child in started:
        child.process.kill()
        child.process.communicate()
        child.theirs.close()


def start(index: int) -> Child:
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    ours, theirs = socket.socketpair()
    return Child(process, theirs, HandedWorker(index, process.pid, ours.detach(), b"", True))


def closing_link(worker: WorkerProcess) -> bool:
    return worker._link._transport.is_closing()


@pytest.mark.parametrize("number", [None, signal.SIGKILL])
def test_a_worker_that_ends_meanwhile_takes_no_other_along(
    children: list[Child],
    number: signal.Signals | None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    ending, staying = children
    pool: WorkerPool
    poll = AdoptedProcess.poll

    async def hand_over() -> list[HandedWorker]:
        nonlocal pool
        pool = WorkerPool(WorkerConfig(), [])
        await pool.adopt([child.handed for child in children], 0, True, Nobody())
        worker = pool._adopted[ending.process.pid]
        ending.end(number)
        await until(lambda: closing_link(worker))
        try:
            return await pool.hand_over()
        finally:
            for each in pool._all():
                await each._link.close()

    # Between its link's end and being reaped.
    monkeypatch.setattr(
        AdoptedProcess, "poll", lambda self: poll(self) if pool._ending.is_set() else None
    )
    [handed] = uvloop.run(hand_over())
    with closing(socket.socket(fileno=handed.link_fd)) as link:
        assert handed.pid == staying.process.pid
        staying.theirs.sendall(b"x")
        assert link.recv(1) == b"x"
    [line] = [each for each in caplog.records if str(ending.process.pid) in each.getMessage()]
    assert line.levelno == (logging.INFO if number is None else logging.ERROR)
    assert ("ended with code 0" if number is None else "signal 9") in line.getMessage()
