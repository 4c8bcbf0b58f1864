import asyncio
import json
import os
import signal
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from hubgate.control.upgrade import rehearsal as rehearsal_module
from hubgate.control.upgrade.rehearsal import NewRelease
from hubgate.control.upgrade.upgrader import Upgrader
from hubgate.errors import UpgradeError, UpgradeUnderWayError
from hubgate.model import Address, Timeouts, WorkerConfig
from hubgate.tasks import spawn
from tests.control.launched import SETTINGS, Launched, call, launched
from tests.control.waiting import until

NEW = NewRelease("7.7.7", {})
# Old workers are gone as soon as their clients are.
BRIEF = WorkerConfig(timeouts=Timeouts(keep_alive=1))


async def test_one_upgrade_at_a_time() -> None:
    gate = asyncio.Event()

    async def rehearse() -> NewRelease:
        await gate.wait()
        return NEW

    upgrader = Upgrader(rehearse, 0)
    with pytest.raises(UpgradeUnderWayError, match="settling"):
        await upgrader.prepare()
    upgrader.settled()
    first = spawn(upgrader.prepare(), "first")
    await asyncio.sleep(0)
    with pytest.raises(UpgradeUnderWayError, match="rehearsing"):
        await upgrader.prepare()
    assert not upgrader.agreed.is_set()
    gate.set()
    assert await first == NEW
    assert upgrader.agreed.is_set()


async def test_none_begins_once_hubgate_is_told_to_stop() -> None:
    gate = asyncio.Event()

    async def rehearse() -> NewRelease:
        await gate.wait()
        return NEW

    upgrader = Upgrader(rehearse, 0)
    upgrader.settled()
    under_way = spawn(upgrader.prepare(), "under way")
    await asyncio.sleep(0)
    upgrader.end()
    upgrader.settled()
    gate.set()
    for attempt in (under_way, upgrader.prepare()):
        with pytest.raises(UpgradeUnderWayError, match="hubgate is ending"):
            await attempt
    assert not upgrader.agreed.is_set()


async def test_after_a_failed_rehearsal_another_may_come() -> None:
    async def rehearse() -> NewRelease:
        raise UpgradeError("it is broken")

    upgrader = Upgrader(rehearse, 0)
    upgrader.settled()
    for _ in range(2):
        with pytest.raises(UpgradeError, match="it is broken"):
            await upgrader.prepare()
    assert upgrader.status.state == "serving"


def test_the_reason_is_where_and_what() -> None:
    complaints = """Traceback (most recent call last):
  File "/lib/one.py", line 1, in <module>
    import two
  File "/lib/two.py", line 7
    def open(:
             ^
SyntaxError: invalid syntax
2026-11-29T12:00:00.000Z [hubgate.supervisor] error: worker 0 did not start
"""
    assert (
        rehearsal_module._reason(complaints, 1)
        == "SyntaxError: invalid syntax (/lib/two.py, line 7)"
    )
    assert rehearsal_module._reason("a: wrong\nb: wrong\n", 1) == "a: wrong; b: wrong"
    complaint = "proxyctl: store: redis://h is away\nconfigurable-http-proxy: b: wrong\n"
    assert rehearsal_module._reason(complaint, 1) == "store: redis://h is away; b: wrong"
    assert rehearsal_module._reason("", 3) == "it ended with code 3 and no output"
    assert rehearsal_module._reason("a warning", -9) == "it was ended by SIGKILL"
    assert rehearsal_module._reason("", -40) == "it was ended by signal 40"


def test_the_reason_is_what_was_raised_and_not_where() -> None:
    complaints = """Traceback (most recent call last):
  File "/lib/one.py", line 4, in <module>
    raise RuntimeError("half installed")
RuntimeError: half installed
"""
    reason = rehearsal_module._reason(complaints, 1)
    assert reason == "RuntimeError: half installed (/lib/one.py, line 4)"


# --- of a running hubgate ---


async def upgraded(hubgate: Launched, times: int = 1, text: str = "upgraded from ") -> None:
    """Ask for an upgrade, and wait until the log has `text` that often."""
    hubgate.signal(signal.SIGUSR2)
    await until(lambda: hubgate.output.count(text) == times, 120)


async def unix_status(path: Path) -> int:
    reader, writer = await asyncio.open_unix_connection(str(path))
    with closing(writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n")
        return int((await reader.read()).split()[1])


def descriptors(hubgate: Launched) -> int:
    return len(os.listdir(f"/proc/{hubgate.pid}/fd"))


@pytest.mark.processes
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_sockets_of_every_kind_stay(tmp_path: Path) -> None:
    path = tmp_path / "hub.sock"
    anywhere = Address("127.0.0.1", 0)
    settings = replace(
        SETTINGS,
        listen=(Address(path=str(path)), anywhere),
        redirect=(anywhere,),
        metrics=(anywhere,),
        worker=replace(BRIEF, redirect_to=443),
        pid_file=str(tmp_path / "pid"),
        workers=2,
    )
    async with launched(tmp_path, settings) as hubgate:
        await hubgate.serving()
        redirect_port = hubgate._port(r"Redirecting http://\S*:(\d+) ")
        inode, opened = path.stat().st_ino, 0
        for times in (1, 2):
            await upgraded(hubgate, times)
            await until(lambda: len(hubgate.workers) == 2)
            assert await unix_status(path) == 404
            assert (await hubgate.get("/")).status == 404
            assert (await call(redirect_port, "GET", "/")).status == 301
            assert (await call(hubgate.metrics_port, "GET", "/metrics")).status == 200
            assert (tmp_path / "pid").read_text() == str(hubgate.pid)
            if times == 1:
                opened = descriptors(hubgate)
        assert path.stat().st_ino == inode
        # An old worker's link may still be there; what an upgrade leaks stays for ever.
        await until(lambda: descriptors(hubgate) <= opened)
        hubgate.signal(signal.SIGTERM)
        assert await hubgate.ended() == 0
        assert not path.exists()
        assert not (tmp_path / "pid").exists()


@pytest.mark.processes
async def test_counters_go_on(tmp_path: Path) -> None:
    settings = replace(SETTINGS, metrics=(Address("127.0.0.1", 0),), worker=BRIEF)
    async with launched(tmp_path, settings) as hubgate:
        await hubgate.serving()
        await hubgate.add("/a", "http://127.0.0.1:9")
        await upgraded(hubgate)
        metrics = (await call(hubgate.metrics_port, "GET", "/metrics")).body
        assert b"\napi_route_add 1" in metrics


@pytest.mark.processes
async def test_a_program_that_cannot_be_replaced_goes_on(tmp_path: Path) -> None:
    prelude = """
import os
def execve(*_): raise OSError(12, "Cannot allocate memory")
os.execve = execve
"""
    settings = replace(SETTINGS, workers=2, worker=BRIEF)
    async with launched(tmp_path, settings, prelude) as hubgate:
        await hubgate.serving()
        await hubgate.add("/a", "http://127.0.0.1:9")
        for times in (1, 2):
            await upgraded(hubgate, times, "taken back by")
            assert hubgate.output.count("not upgraded, the old release keeps running: ") == times
            found = json.loads((await call(hubgate.api_port, "GET", "/api/routes")).body)
            assert set(found) == {"/a"}
            assert (await hubgate.get("/a")).status == 503
        hubgate.signal(signal.SIGTERM)
        assert await hubgate.ended() == 0
