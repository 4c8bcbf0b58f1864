import asyncio
import os
import re
import resource
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hubgate.model import Address, Route, ServerTLS, Timeouts, WorkerConfig
from hubgate.tasks import spawn
from tests.contract.ports import free_port, free_ports
from tests.control.launched import SETTINGS, call, launched
from tests.control.slow_backend import slow_backend
from tests.control.waiting import gone, until

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

TWO_WORKERS = replace(SETTINGS, workers=2)
NOBODY_HOME = "http://127.0.0.1:9"

# Run before hubgate starts: what a login shell allows.
FEW_FILES = """
import resource
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
"""

# Run before hubgate starts: a bug somewhere in it.
FAULT = """
from hubgate.control import supervisor
def fail(*_): raise ZeroDivisionError("on purpose")
supervisor.announce = fail
"""

# Run before hubgate starts: somebody stops it while a worker's process is being started.
A_SIGNAL_AT_EACH_BIRTH = """
import os, signal
from hubgate.control import bootstrap as bootstrap_module
spawn_worker = bootstrap_module.spawn_worker
def interrupted(index, sockets):
    spawned = spawn_worker(index, sockets)
    print("spawned", spawned.process.pid, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    return spawned
bootstrap_module.spawn_worker = interrupted
"""


# Run before hubgate starts: after the settings were read somebody writes others.
CHANGED_EARLY = """
import os, pickle, sys
from dataclasses import replace
from pathlib import Path
from hubgate.control.bootstrap import Bootstrap
spawn_workers = Bootstrap.spawn_workers
def changed(self):
    file = Path(sys.argv[1])
    fresh = file.with_suffix(".new")
    settings = pickle.loads(file.read_bytes())
    fresh.write_bytes(pickle.dumps(replace(settings, log_level="debug")))
    os.replace(fresh, file)
    spawn_workers(self)
Bootstrap.spawn_workers = changed
"""

# Signals that only mean something to a proxy that serves.
TOLD_EARLY = """
import signal
from hubgate.control.bootstrap import Bootstrap
spawn_workers = Bootstrap.spawn_workers
def told(self):
    spawn_workers(self)
    signal.raise_signal(signal.SIGHUP)
    signal.raise_signal(signal.SIGUSR2)
Bootstrap.spawn_workers = told
"""


def can_listen(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen()
        except OSError:
            return False
    return True


# --- start ---


async def test_a_route_is_served_by_every_worker_when_the_api_says_so(tmp_path: Path) -> None:
    async with launched(tmp_path, replace(SETTINGS, workers=3)) as hubgate:
        await hubgate.serving()
        assert len(hubgate.workers) == 3
        for number in range(10):
            assert await hubgate.add(f"/{number}", NOBODY_HOME) == 201
            assert {(await hubgate.get(f"/{number}")).status for _ in range(6)} == {503}


async def test_every_port_answers_once_it_says_so(tmp_path: Path) -> None:
    route = Route("/", NOBODY_HOME)
    settings = replace(TWO_WORKERS, metrics=(Address("127.0.0.1", 0),), initial_routes=(route,))
    async with launched(tmp_path, settings) as hubgate:
        await hubgate.serving()
        assert f"to {NOBODY_HOME}" in hubgate.output
        assert (await hubgate.get("/")).status == 503
        assert (await call(hubgate.api_port, "GET", "/api/routes")).status == 200
        await hubgate.printed("Serve metrics at")
        assert b"requests_web 1\n" in (await call(hubgate.metrics_port, "GET", "/metrics")).body


async def test_api_port_in_use_ends_the_start_before_anything_listens(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        settings = replace(TWO_WORKERS, api=(Address("127.0.0.1", port),))
        async with launched(tmp_path, settings) as hubgate:
            assert await hubgate.ended() == 1
            assert hubgate.output == (
                f"hubgate: cannot listen on 127.0.0.1:{port}: the port is in use by another "
                "process; choose another with --api-port or stop it\n"
            )


async def test_second_hubgate_on_a_port_is_refused(tmp_path: Path) -> None:
    async with launched(tmp_path / "first", TWO_WORKERS) as first:
        await first.serving()
        settings = replace(TWO_WORKERS, listen=(Address("127.0.0.1", first.port),))
        async with launched(tmp_path / "second", settings) as second:
            assert await second.ended() == 1
            assert "in use" in second.output
        assert (await first.get("/")).status == 404


async def test_unusable_certificate_is_one_line_and_leaves_no_process(tmp_path: Path) -> None:
    tls = ServerTLS(str(tmp_path / "no.pem"), str(tmp_path / "no-key.pem"))
    settings = replace(TWO_WORKERS, worker=WorkerConfig(tls=tls))
    async with launched(tmp_path, settings) as hubgate:
        assert await hubgate.ended() == 1
        assert len(hubgate.output.splitlines()) == 1
        assert "no.pem" in hubgate.output


async def test_unknown_store_is_one_line(tmp_path: Path) -> None:
    async with launched(tmp_path, replace(SETTINGS, store="clay-tablets:")) as hubgate:
        assert await hubgate.ended() == 1
        assert hubgate.output.startswith("hubgate: store: 'clay-tablets:'")


async def test_pid_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    path = str(tmp_path / "missing" / "hub.pid")
    async with launched(tmp_path, replace(SETTINGS, pid_file=path)) as hubgate:
        assert await hubgate.ended() == 1
        assert f"hubgate: --pid-file: {path}: No such file or directory" in hubgate.output


async def test_stopping_it_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    async with launched(tmp_path, TWO_WORKERS) as hubgate:
        await until(lambda: hubgate.workers)
        workers = hubgate.workers
        hubgate.signal(signal.SIGTERM)
        assert await hubgate.ended() == 0
        assert all(gone(pid) for pid in workers)
        assert "Traceback" not in hubgate.output


async def test_a_file_that_changes_after_it_was_read_is_read_again(tmp_path: Path) -> None:
    settings = replace(SETTINGS, config_file=tmp_path / "named by launched()")
    async with launched(tmp_path / "it", settings, CHANGED_EARLY) as hubgate:
        await hubgate.serving()
        await hubgate.printed("reloaded: log_level")


async def test_what_it_is_told_while_it_starts_is_followed_later(tmp_path: Path) -> None:
    settings = replace(SETTINGS, config_file=tmp_path / "named by launched()")
    async with launched(tmp_path / "it", settings, TOLD_EARLY) as hubgate:
        await hubgate.serving()
        await hubgate.printed("reloaded: nothing has changed")
        await hubgate.printed("not upgraded: not now")
        hubgate.signal(signal.SIGTERM)
        assert await hubgate.ended() == 0


async def test_stopping_it_between_two_births_leaves_nothing(tmp_path: Path) -> None:
    async with launched(tmp_path, TWO_WORKERS, A_SIGNAL_AT_EACH_BIRTH) as hubgate:
        assert await hubgate.ended() == 0
        workers = [int(pid) for pid in re.findall(r"^spawned (\d+)$", hubgate.output, re.M)]
        assert len(workers) == 2
        assert all(gone(pid) for pid in workers)
        assert "Traceback" not in hubgate.output


async def test_workers_may_open_as_many_files_as_the_system_allows(tmp_path: Path) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with launched(tmp_path, SETTINGS, FEW_FILES) as hubgate:
        await hubgate.serving()
        limits = resource.prlimit(hubgate.workers[0], resource.RLIMIT_NOFILE)
        assert limits == (hard, hard)


# --- end ---


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_a_signal_ends_it_well(tmp_path: Path, number: signal.Signals) -> None:
    """SIGHUP too: with no file to read again it means what it means to any program."""
    pid_file, public, api = tmp_path / "hub.pid", tmp_path / "hub.sock", tmp_path / "api.sock"
    # A port that the kernel chooses may be another's as soon as it is free.
    settings = replace(
        TWO_WORKERS,
        listen=(Address("127.0.0.1", free_port()), Address(path=str(public))),
        api=(*SETTINGS.api, Address(path=str(api))),
        pid_file=str(pid_file),
    )
    async with launched(tmp_path, settings) as hubgate:
        await hubgate.serving()
        await until(lambda: pid_file.exists() and pid_file.read_text() == str(hubgate.pid))
        assert public.is_socket()
        assert api.is_socket()
        workers, port = hubgate.workers, hubgate.port
        hubgate.signal(number)
        assert await hubgate.ended() == 0
        assert "Traceback" not in hubgate.output
        assert all(gone(pid) for pid in workers)
        assert can_listen(port)
        assert not any(path.exists() for path in (pid_file, public, api))


async def test_signal_to_the_whole_group_drains(tmp_path: Path) -> None:
    """Ctrl-C in a terminal reaches workers and supervisor alike."""
    async with slow_backend() as backend, launched(tmp_path, TWO_WORKERS) as hubgate:
        await hubgate.serving()
        await hubgate.add("/", backend.url)
        waiting = spawn(hubgate.get("/"), "slow request")
        await until(backend.asked.is_set)
        os.killpg(hubgate.pid, signal.SIGINT)
        await hubgate.printed("draining")
        backend.may_answer.set()
        assert (await waiting).body == b"hello"
        assert await hubgate.ended() == 0
        assert "Traceback" not in hubgate.output


async def test_successor_has_every_port_while_the_old_one_drains(tmp_path: Path) -> None:
    unix = tmp_path / "hub.sock"
    port, api_port = free_ports()
    settings = replace(
        TWO_WORKERS,
        listen=(Address("127.0.0.1", port), Address(path=str(unix))),
        api=(Address("127.0.0.1", api_port),),
        worker=WorkerConfig(timeouts=Timeouts(drain=600)),
    )
    async with slow_backend() as backend, launched(tmp_path / "old", settings) as old:
        await old.serving()
        await old.add("/", backend.url)
        waiting = spawn(old.get("/"), "slow request")
        await until(backend.asked.is_set)
        old.signal(signal.SIGTERM)
        await until(lambda: can_listen(port) and can_listen(api_port))
        async with launched(tmp_path / "new", settings) as new:
            await new.serving()
            assert not waiting.done()
            assert (await new.get("/")).status == 404
            backend.may_answer.set()
            assert (await waiting).body == b"hello"
            assert await old.ended() == 0
            assert unix.is_socket(), "the old one left its successor's file alone"
            reader, writer = await asyncio.open_unix_connection(str(unix))
            writer.write(b"GET /_chp_healthz HTTP/1.0\r\nHost: hub\r\n\r\n")
            assert b" 200 " in await reader.readline()
            writer.close()


async def test_drain_has_a_limit(tmp_path: Path) -> None:
    worker = WorkerConfig(timeouts=Timeouts(drain=0.2))
    async with (
        slow_backend() as backend,
        launched(tmp_path, replace(TWO_WORKERS, worker=worker)) as hubgate,
    ):
        await hubgate.serving()
        await hubgate.add("/", backend.url)
        waiting = spawn(swallowed(hubgate.port), "slow request")
        await until(backend.asked.is_set)
        hubgate.signal(signal.SIGTERM)
        assert await hubgate.ended() == 0
        answer = await waiting
        assert answer is not None
        assert answer.startswith(b"HTTP/1.1 503 ")


async def swallowed(port: int) -> bytes | None:
    """Ask for `/`; return the answer, None when the connection is reset."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n")
    try:
        return await reader.read()
    except ConnectionError:
        return None
    finally:
        writer.close()


async def test_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    worker = WorkerConfig(timeouts=Timeouts(drain=600))
    async with (
        slow_backend() as backend,
        launched(tmp_path, replace(TWO_WORKERS, worker=worker)) as hubgate,
    ):
        await hubgate.serving()
        await hubgate.add("/", backend.url)
        waiting = spawn(swallowed(hubgate.port), "slow request")
        await until(backend.asked.is_set)
        workers = hubgate.workers
        hubgate.signal(signal.SIGTERM)
        await hubgate.printed("draining")
        hubgate.signal(signal.SIGTERM)
        assert await hubgate.ended() == 128 + signal.SIGTERM
        assert all(gone(pid) for pid in workers)
        assert "Traceback" not in hubgate.output
        assert await waiting in (b"", None)


async def test_killed_supervisor_takes_its_workers_along(tmp_path: Path) -> None:
    async with (
        launched(tmp_path, replace(SETTINGS, workers=4)) as hubgate,
        asyncio.TaskGroup() as clients,
    ):
        await hubgate.serving()
        port, api_port, workers = hubgate.port, hubgate.api_port, hubgate.workers
        assert len(workers) == 4
        load = [Load() for _ in range(16)]
        for each in load:
            clients.create_task(each.run(port))
        await until(lambda: all(each.answers for each in load))
        hubgate.process.kill()
        await hubgate.ended()
        await until(lambda: all(gone(pid) for pid in workers))
        await until(lambda: can_listen(port) and can_listen(api_port))


class Load:
    """A client that asks again and again on one connection until it breaks."""

    def __init__(self) -> None:
        self.answers = 0

    async def run(self, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            while True:
                writer.write(b"GET /_chp_healthz HTTP/1.1\r\nHost: hub\r\n\r\n")
                await reader.readuntil(b"\r\n\r\n")
                self.answers += 1
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


# --- while it runs ---


async def test_killed_worker_costs_no_route(tmp_path: Path) -> None:
    async with launched(tmp_path) as hubgate:
        await hubgate.serving()
        await hubgate.add("/a", NOBODY_HOME)
        victim = hubgate.workers[0]
        os.kill(victim, signal.SIGKILL)
        assert (await hubgate.get("/a")).status == 503, "the connection waits for the new worker"
        assert f"(pid {victim}) was killed by signal 9; replacing it" in hubgate.output


async def test_activity_of_a_worker_is_shown_by_the_api(tmp_path: Path) -> None:
    async with slow_backend() as backend, launched(tmp_path, TWO_WORKERS) as hubgate:
        backend.may_answer.set()
        await hubgate.serving()
        await hubgate.add("/a", backend.url)
        added = (await call(hubgate.api_port, "GET", "/api/routes/a")).body
        await asyncio.sleep(0.05)
        assert (await hubgate.get("/a")).status == 200
        assert (await call(hubgate.api_port, "GET", "/api/routes/a")).body > added


async def test_fault_of_its_own_ends_it_and_its_workers(tmp_path: Path) -> None:
    async with launched(tmp_path, replace(TWO_WORKERS, log_level="debug"), FAULT) as hubgate:
        assert await hubgate.ended() == 1
        assert "hubgate ends: this is a bug in it" in hubgate.output
        assert "ZeroDivisionError: on purpose" in hubgate.output
        pids = [int(pid) for pid in re.findall(r"pid (\d+)\) is ready", hubgate.output)]
        assert len(pids) == 2
        assert all(gone(pid) for pid in pids)
