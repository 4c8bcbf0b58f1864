"""The health pages of a whole hubgate: while it starts, serves, is upgraded and stops."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hubgate.model import Address, Timeouts, WorkerConfig
from hubgate.settings import Settings
from hubgate.tasks import spawn
from tests.contract.ports import free_port
from tests.control.launched import SETTINGS, Launched, call, launched
from tests.control.waiting import until
from tests.store.holder import held

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
    pytest.mark.timeout(180),
]

LIVE, READY = "/_hubgate/live", "/_hubgate/ready"
NOBODY_HOME = "http://127.0.0.1:9"
LONG = 60.0

# Run before hubgate starts: somebody stops it as soon as its API answers.
STOPPED_EARLY = """
import os, signal, time
from hubgate.control.running_file import RunningFile
def stopped(*_):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.2)
RunningFile.begin = stopped
"""


def settings(port: int, delay: float = 0.0) -> Settings:
    worker = WorkerConfig(timeouts=Timeouts(drain_delay=delay))
    return replace(SETTINGS, health=(Address("127.0.0.1", port),), worker=worker)


async def says(port: int, page: str = READY) -> tuple[int, str]:
    answer = await call(port, "GET", page)
    return answer.status, answer.body.decode().strip()


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(30)
        yield sock


async def test_its_own_port_answers_before_there_are_routes(tmp_path: Path) -> None:
    port, file = free_port(), tmp_path / "routes.db"
    with held(file) as holder:
        wanted = replace(settings(port), store=f"sqlite:{file}")
        async with launched(tmp_path / "one", wanted) as hubgate:
            await hubgate.printed("waiting for another process")
            assert await says(port, LIVE) == (200, "ok")
            assert await says(port) == (503, "starting")
            holder.communicate()
            await hubgate.serving()
            assert await says(port) == (200, "ok")
            assert await says(hubgate.api_port) == (200, "ok")


async def test_everything_works_until_balancers_have_noticed(
    tmp_path: Path, manager: socket.socket
) -> None:
    port = free_port()
    wanted = replace(settings(port, LONG), metrics=(Address("127.0.0.1", 0),), workers=2)
    async with launched(tmp_path / "one", wanted) as hubgate:
        await hubgate.serving()
        await hubgate.printed("Serve health at")
        assert manager.recv(100) == b"READY=1"
        assert b"\nhubgate_ready 1\n" in (await call(hubgate.metrics_port, "GET", "/metrics")).body
        hubgate.signal(signal.SIGTERM)
        assert manager.recv(100) == b"STOPPING=1"
        await hubgate.printed("not ready any more")
        for each in (port, hubgate.api_port):
            assert await says(each) == (503, "draining")
            assert await says(each, LIVE) == (200, "ok")
        assert b"\nhubgate_ready 0\n" in (await call(hubgate.metrics_port, "GET", "/metrics")).body
        await still_serves(hubgate)
        hubgate.signal(signal.SIGTERM)
        assert await hubgate.ended() == 128 + signal.SIGTERM


async def still_serves(hubgate: Launched) -> None:
    assert await hubgate.add("/late", NOBODY_HOME) == 201
    assert (await hubgate.get("/late")).status == 503
    assert (await hubgate.get("/other")).status == 404
    upgrade = await call(hubgate.api_port, "POST", "/api/upgrade")
    assert (upgrade.status, upgrade.body) == (409, b"not now: hubgate is ending")
    before = hubgate.workers
    os.kill(before[0], signal.SIGKILL)
    await until(lambda: len(hubgate.workers) == 2 and before[0] not in hubgate.workers)
    assert await says(hubgate.api_port) == (503, "draining")


async def test_the_drain_follows_that_time_and_frees_every_port(tmp_path: Path) -> None:
    port = free_port()
    async with launched(tmp_path, settings(port, 0.5)) as hubgate:
        await hubgate.serving()
        ports = (port, hubgate.port, hubgate.api_port)
        hubgate.signal(signal.SIGTERM)
        assert await hubgate.ended() == 0
        assert hubgate.output.index("close in 0.5 seconds") < hubgate.output.index("draining, for")
        for each in ports:
            with pytest.raises(ConnectionRefusedError):
                await call(each, "GET", READY)


async def test_by_default_nobody_waits(tmp_path: Path) -> None:
    async with launched(tmp_path, settings(free_port())) as hubgate:
        await hubgate.serving()
        hubgate.signal(signal.SIGTERM)
        assert await hubgate.ended() == 0
        assert "not ready any more" not in hubgate.output


async def test_it_is_ready_all_through_an_upgrade(tmp_path: Path) -> None:
    port = free_port()
    wanted = replace(settings(port), config_file=Path("there"))
    async with launched(tmp_path, wanted) as hubgate:
        await hubgate.serving()
        said: set[tuple[int, str]] = set()

        async def watch() -> None:
            while True:
                said.add(await says(port))
                said.add(await says(hubgate.api_port))
                await asyncio.sleep(0.02)

        watching = spawn(watch(), "watch")
        hubgate.signal(signal.SIGUSR2)
        await hubgate.printed("upgraded from")
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        assert said == {(200, "ok")}


async def test_who_was_told_that_it_is_ready_is_not_cut_off(tmp_path: Path) -> None:
    async with launched(tmp_path, SETTINGS, STOPPED_EARLY) as hubgate:
        assert await hubgate.ended() == 0
        assert "draining, for" in hubgate.output
        assert "exiting at once" not in hubgate.output
