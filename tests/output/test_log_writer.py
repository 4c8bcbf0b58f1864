"""The log's thread: nobody waits for it, and what is lost is counted and told."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event

import pytest

from hubgate.output import log_writer as log_writer_module
from hubgate.output.log_writer import LogWriter

Make = Callable[[int], LogWriter]

LINE = b"x" * 99 + b"\n"
KEPT = 10_000


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe that a test may close; reading does not wait."""
    ends = os.pipe()
    os.set_blocking(ends[0], False)
    yield ends
    for fd in ends:
        with suppress(OSError):
            os.close(fd)


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes writers that keep little."""
    monkeypatch.setattr(log_writer_module, "MOST_WAITING", KEPT)
    return lambda fd: LogWriter(fd, lambda lost: b"lost %d\n" % lost)


def read(fd: int) -> bytes:
    with suppress(BlockingIOError):
        return os.read(fd, 1 << 20)
    return b""


def read_all(log: LogWriter, fd: int) -> bytes:
    """Read until nothing waits to be written, and nothing to be read."""
    found, deadline = b"", time.monotonic() + 30
    while not log.settled or (more := read(fd)):
        assert time.monotonic() < deadline, log
        found += more if log.settled else read(fd)
    return found


def offer_too_much(log: LogWriter, fd: int) -> int:
    """Offer more than pipe and writer hold together; return how many lines."""
    offered = 0
    log.offer(LINE * 40)
    while not log.full:
        log.offer(LINE)
        offered += 1
        assert offered < 10_000
    for _ in range(50):
        log.offer(LINE)
    return offered + 90


def test_lines_arrive_in_order(pipe: tuple[int, int], make: Make) -> None:
    log = make(pipe[1])
    lines = b"".join(b"%d\n" % number for number in range(50))
    for line in lines.splitlines(keepends=True):
        log.offer(line)
    log.settle(30)
    assert log.unwritten == 0
    assert read(pipe[0]) == lines


def test_what_is_lost_is_told_once_somebody_reads(pipe: tuple[int, int], make: Make) -> None:
    log = make(pipe[1])
    offered = offer_too_much(log, pipe[1])
    log.settle(0.01)
    assert log.unwritten > 50
    *lines, notice = read_all(log, pipe[0]).splitlines(keepends=True)
    assert set(lines) == {LINE}
    assert notice == b"lost %d\n" % (offered - len(lines))
    assert log.unwritten == 0
    log.offer(b"next\n")
    assert read_all(log, pipe[0]) == b"next\n"


def test_the_gap_is_where_it_is_told(pipe: tuple[int, int], make: Make) -> None:
    """Not before lines that came earlier, nor after those that came once there was room."""
    log = make(pipe[1])
    offer_too_much(log, pipe[1])
    found = read_all(log, pipe[0])
    log.offer(b"later\n")
    found += read_all(log, pipe[0])
    assert found.splitlines()[-2].startswith(b"lost ")
    assert found.endswith(b"\nlater\n")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_its_thread_takes_no_signals(pipe: tuple[int, int], make: Make) -> None:
    """One that the main thread holds would be delivered there, and end the process."""
    log = make(pipe[1])
    log.offer(b"first\n")
    log.settle(30)
    assert log._thread is not None
    status = Path(f"/proc/self/task/{log._thread.native_id}/status").read_text()
    blocked = int(next(line for line in status.splitlines() if line.startswith("SigBlk"))[7:], 16)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR2):
        assert blocked & 1 << number - 1
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_a_reader_that_left_is_no_reason_to_end(pipe: tuple[int, int], make: Make) -> None:
    log = make(pipe[1])
    os.close(pipe[0])
    tried = []
    write_some = log._write_some
    log._write_some = lambda block, at: tried.append(block) or write_some(block, at)  # type: ignore
    for _ in range(1000):
        log.offer(b"nobody\n")
        log.settle(30)
    assert log.settled
    assert log.unwritten == 1000
    # Each line, and the notice before it, once.
    assert len(tried) == 1999


def test_a_full_disk_is_told_of_when_there_is_room(make: Make, pipe: tuple[int, int]) -> None:
    log = make(os.open("/dev/full", os.O_WRONLY))
    log.offer(b"one\n")
    log.settle(30)
    log.offer(b"two\nthree\n")  # with a notice, which cannot be written either
    log.settle(30)
    assert log.unwritten == 3
    log._write_to(pipe[1])
    log.offer(b"four\n")
    assert read_all(log, pipe[0]) == b"lost 3\nfour\n"


ENDS = """
import logging, os, sys
from hubgate.logs import configure_logging, own_stderr, settle
configure_logging("info")
own_stderr()
for number in range(int(sys.argv[2])):
    logging.getLogger("hubgate").info("%d %s", number, "x" * 60)
if sys.argv[1] == "_exit":
    settle()
    os._exit(7)
if sys.argv[1] == "raise":
    raise RuntimeError("broken")
if sys.argv[1] == "print":
    for _ in range(int(sys.argv[2])):
        print("x" * 99, file=sys.stderr)
sys.exit(7)
"""


@pytest.mark.parametrize("end", ["exit", "_exit", "raise", "print"])
def test_a_process_ends_although_nobody_reads(end: str, pipe: tuple[int, int]) -> None:
    command = [sys.executable, "-P", "-c", ENDS, end, "5000"]
    done = subprocess.run(command, stderr=pipe[1], timeout=60, check=False)
    assert done.returncode == (1 if end == "raise" else 7)
    lines = read(pipe[0]).decode().splitlines()
    assert all(line.endswith("x" * 60) for line in lines)


@pytest.mark.parametrize("end", ["exit", "_exit", "raise"])
def test_a_process_that_ends_has_written_all_for_a_reader(end: str) -> None:
    command = [sys.executable, "-P", "-c", ENDS, end, "2000"]
    done = subprocess.run(command, stderr=subprocess.PIPE, timeout=60, check=False, text=True)
    lines = done.stderr.splitlines()
    assert len([line for line in lines if line.endswith("x" * 60)]) == 2000
    if end == "raise":
        assert lines[-1].endswith("  RuntimeError: broken")


WRITERS = """
import logging, sys
from hubgate.logs import configure_logging
configure_logging("info", sys.argv[1])
for number in range(300):
    logging.getLogger("hubgate").info("%d %s.", number, sys.argv[2] * (number * 37 % 9000))
"""


@pytest.mark.parametrize("kind", ["text", "json"])
def test_no_line_of_several_processes_is_torn(kind: str) -> None:
    reader, writer = os.pipe()
    command = [sys.executable, "-P", "-c", WRITERS, kind]
    processes = [subprocess.Popen([*command, letter], stderr=writer) for letter in "ab"]
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as file:
        lines = file.read().splitlines()
    assert [process.wait(60) for process in processes] == [0, 0]
    for line in lines:
        assert len(line.encode()) < 4096
        said = json.loads(line)["message"] if kind == "json" else line.partition(" info: ")[2]
        # Of a message that is too long, the end is left out, or in JSON the beginning.
        assert re.fullmatch(r"(\d+ |…)(a*|b*)[.…]", said) or "lines of this log" in line


class SlowFile(LogWriter):
    """Writes to a file whose disk takes no more until it is told to."""

    def __init__(self, fd: int, say: Callable[[int], bytes]) -> None:
        super().__init__(fd, say)
        self.goes_on = Event()

    def _write_some(self, block: bytes, start: int) -> int:
        self.goes_on.wait(60)
        return super()._write_some(block, start)


def test_nobody_waits_for_a_slow_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """It always polls as writable, so that only trying shows whether a turn is of use."""
    clock, turns = [0.0], []

    def turn(seconds: float) -> None:
        turns.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr(log_writer_module, "MOST_WAITING", KEPT)
    with tempfile.TemporaryFile() as file:
        log = SlowFile(file.fileno(), lambda lost: b"lost %d\n" % lost)
        with monkeypatch.context() as patched:
            patched.setattr(time, "sleep", turn)
            patched.setattr(time, "monotonic", lambda: clock[0])
            for _ in range(10_000):  # a second of the event loop, and far more than is kept
                log.offer(LINE)
                clock[0] += 0.0001
        assert 0 < sum(turns) < 0.1
        log.goes_on.set()
        log.settle(30)
        assert log.unwritten == 0
