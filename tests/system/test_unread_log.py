"""A proxy whose output nobody reads goes on, ends in time, and tells what it could not say."""

import contextlib
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.contract.client import Client
from tests.contract.polling import eventually
from tests.contract.ports import free_ports
from tests.environment import clean_environment
from tests.processes import kill, workers_of
from tests.system.served import PROXYCTL, Served, _answers

pytestmark = pytest.mark.processes

FILE = "listen: {port: %d}\napi: {port: %d}\nworkers: 2\nlog_level: %s\n"
LOST = re.compile(r"^\S+ \[hubgate\] warning: (\d+) lines of this log were lost", re.MULTILINE)
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \[hubgate[.\w]*\] [a-z]+: .*")


@contextlib.contextmanager
def unread(folder: Path) -> Iterator[tuple[Served, int]]:
    """Run `proxyctl serve` with all its output in a pipe; yield it, and the end to read from."""
    ports = free_ports()
    (folder / "routes.yaml").write_text(FILE % (*ports, "info"))
    reader, writer = os.pipe()
    process = psutil.Popen(
        [PROXYCTL, "serve"],
        cwd=folder,
        env=clean_environment({"HUBGATE_TOKEN": "s3cret"}),
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=writer,
    )
    os.close(writer)
    served = Served(process, *ports, "s3cret")
    try:
        assert eventually(lambda: _answers(served), 60)
        yield served, reader
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
        process.wait()
        os.close(reader)


def fill(served: Served, routes: int) -> None:
    """Make it log far more than a pipe and its own buffer hold."""
    for number in range(routes):
        served.add(f"/user/{number:05d}{'x' * 60}", "http://127.0.0.1:9")


def fail(served: Served, routes: int) -> None:
    """Make workers log errors: a line for each route."""
    for number in range(routes):
        with Client(("127.0.0.1", served.port)) as client:
            assert client.ask(f"/user/{number:05d}{'x' * 60}").status == 503


def generation(served: Served) -> set[int]:
    return {worker.pid for worker in workers_of(psutil.Process(served.process.pid))}


def test_it_goes_on_and_ends_in_time(tmp_path: Path) -> None:
    with unread(tmp_path) as (served, _):
        fill(served, 2000)
        fail(served, 100)
        (tmp_path / "routes.yaml").write_text(FILE % (served.port, served.api_port, "warn"))
        assert served.call("POST", "/api/reload") == 200
        kill(workers_of(psutil.Process(served.process.pid)))
        assert eventually(lambda: len(generation(served)) == 2, 60)
        fail(served, 5)
        served.process.send_signal(signal.SIGTERM)
        # There is nothing to drain: half a minute is for a busy machine.
        assert served.process.wait(30) == 0


def test_what_was_lost_is_told_after_an_upgrade_too(tmp_path: Path) -> None:
    with unread(tmp_path) as (served, reader):
        fill(served, 2000)
        before = generation(served)
        served.process.send_signal(signal.SIGUSR2)
        assert eventually(lambda: len(generation(served) - before) == 2, 120)
        fail(served, 5)
        received: list[bytes] = []

        def read() -> None:
            while block := os.read(reader, 4096):
                received.append(block)

        thread = threading.Thread(target=read)
        thread.start()
        assert eventually(lambda: b"upgraded from" in b"".join(received), 60)
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(30) == 0
        thread.join(30)
    text = b"".join(received).decode()
    assert [line for line in text.splitlines() if not LINE.fullmatch(line)] == []
    told = sum(map(int, LOST.findall(text)))
    added = text.count("route added: ")
    # Two lines for each route: in the log, or counted.
    assert added < 2000
    assert told >= 2 * (2000 - added) - 1


def test_a_reader_that_leaves_changes_nothing(tmp_path: Path) -> None:
    """`proxyctl serve 2>&1 | head -1`. It tries each line once: tests/output/test_log_writer.py."""
    ports = free_ports()
    with subprocess.Popen(["head", "-1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as head:
        process = psutil.Popen(
            [PROXYCTL, "serve", "--port", str(ports[0]), "--api-port", str(ports[1])],
            cwd=tmp_path,
            env=clean_environment({"HUBGATE_TOKEN": "s3cret"}),
            stdin=subprocess.DEVNULL,
            stdout=head.stdin,
            stderr=head.stdin,
        )
        assert head.stdin is not None
        head.stdin.close()
        head.wait(60)
    try:
        served = Served(process, *ports, "s3cret")
        assert eventually(lambda: _answers(served), 60)
        fill(served, 20)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
