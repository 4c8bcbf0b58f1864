"""The hub's proxy class starts, watches and stops a real hubgate."""

import asyncio
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from hubgate import __version__
from hubgate.jupyterhub import FAILED_STARTS, HubgateProxy
from tests.asking import asking
from tests.control.waiting import until
from tests.hub_around import proxy_of_a_hub
from tests.packaging import traps
from tests.processes import files_allowed, kill, lives, workers_of


@pytest.fixture
async def proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[HubgateProxy]:
    async with proxy_of_a_hub(tmp_path, monkeypatch) as one:
        yield one


def test_a_hub_finds_it_by_name() -> None:
    (entry,) = entry_points(group="jupyterhub.proxies", name="hubgate")
    assert entry.load() is HubgateProxy


def test_the_command_is_this_installation_whatever_path_says(
    proxy: HubgateProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert proxy.command[:4] == [sys.executable, "-P", "-m", "hubgate.cli.chp"]


@pytest.mark.processes
async def test_routes_go_in_and_out(proxy: HubgateProxy) -> None:
    await proxy.start()
    await proxy.add_route("/user/zoë/", "http://127.0.0.1:9", {"user": "zoë"})
    routes = await proxy.get_all_routes()
    (route,) = routes.values()
    assert (route["target"], route["data"]["user"]) == ("http://127.0.0.1:9", "zoë")
    await proxy.delete_route(next(iter(routes)))
    assert await proxy.get_all_routes() == {}


@pytest.mark.processes
async def test_a_hub_whose_folder_was_deleted_starts_its_proxy(
    proxy: HubgateProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    proxy.pid_file = "jupyterhub-proxy.pid"
    await proxy.start()
    assert "pid_file jupyterhub-proxy.pid: not written: No such file" in caplog.text
    await proxy.add_route("/", "http://127.0.0.1:9", {})
    assert len(await proxy.get_all_routes()) == 1


def workers(proxy: HubgateProxy) -> list[psutil.Process]:
    """Return the worker processes there are; the ports are open before the first one is."""
    return workers_of(psutil.Process(proxy.proxy_process.pid))


@pytest.mark.processes
async def test_it_has_as_many_workers_as_asked_for(proxy: HubgateProxy) -> None:
    proxy.workers = 2
    await proxy.start()
    await until(lambda: len(workers(proxy)) >= 2)
    await proxy.add_route("/", "http://127.0.0.1:9", {})
    assert len(workers(proxy)) == 2


@pytest.mark.processes
async def test_it_logs_requests_where_asked_to(proxy: HubgateProxy, tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    proxy.access_log = str(file)
    await proxy.start()
    await until(lambda: workers(proxy))
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(proxy.public_url).port)
    writer.write(b"GET /nothing HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n")
    await reader.read()
    writer.close()
    await proxy.stop()
    await until(lambda: '"GET /nothing HTTP/1.1" 404 ' in file.read_text(), seconds=0)


@pytest.mark.processes
async def test_stop_leaves_nothing(proxy: HubgateProxy, tmp_path: Path) -> None:
    await proxy.start()
    supervisor = psutil.Process(proxy.proxy_process.pid)
    await until(lambda: workers(proxy))
    started = [supervisor, *supervisor.children(recursive=True)]
    await proxy.stop()
    assert not [process for process in started if lives(process)]
    assert not os.listdir(tmp_path)


@pytest.mark.processes
async def test_a_killed_proxy_is_replaced_and_watched_once(proxy: HubgateProxy) -> None:
    await proxy.start()
    first_check = proxy._check_running_callback
    proxy.proxy_process.kill()
    proxy.proxy_process.wait()
    # Its workers hold the port until they notice; the next start waits for them.
    await proxy.start()
    assert await proxy.get_all_routes() == {}
    assert not first_check.is_running()
    assert proxy._check_running_callback.is_running()


@pytest.mark.real_time
@pytest.mark.parametrize("where", ["public_url", "api_url"])
async def test_a_taken_port_is_one_line(
    proxy: HubgateProxy, caplog: pytest.LogCaptureFixture, where: str
) -> None:
    port = int(getattr(proxy, where).strip("/").rsplit(":", 1)[1])
    with socket.create_server(("127.0.0.1", port)), pytest.raises(SystemExit) as end:
        await proxy.start()
    assert end.value.code == 1
    assert f":{port}" in only_complaint(caplog)
    assert "in use" in only_complaint(caplog)
    assert proxy.proxy_process is None


@pytest.mark.parametrize("path", ["", ":", ":/srv", "/srv::/opt", "/srv:"])
def test_nothing_is_imported_from_the_current_folder(
    proxy: HubgateProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    traps.lay(tmp_path)
    monkeypatch.setenv("PYTHONPATH", path)
    command = [*proxy.command, "--version"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert traps.run(tmp_path) == set()
    assert (done.returncode, done.stdout) == (0, f"{__version__}\n")


def test_where_else_to_import_from_is_kept(
    proxy: HubgateProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/srv::lib")
    assert proxy.command[:3] == ["env", "PYTHONPATH=/srv:lib", sys.executable]


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        (["no-such-program"], "there is no program 'no-such-program'"),
        ([sys.executable, "-c", "raise SystemExit(3)"], "exit code 3"),
    ],
)
async def test_a_wrong_command_is_one_line(
    proxy: HubgateProxy, caplog: pytest.LogCaptureFixture, command: list[str], complaint: str
) -> None:
    proxy.command = command
    with pytest.raises(SystemExit):
        await proxy.start()
    assert complaint in only_complaint(caplog)


def only_complaint(caplog: pytest.LogCaptureFixture) -> str:
    (record,) = [one for one in caplog.records if one.levelno >= logging.ERROR]
    assert record.exc_info is None
    # A handler that keeps the record must not keep what the error's traceback refers to.
    assert not any(isinstance(part, BaseException) for part in record.args or ())
    message = record.getMessage()
    assert "\n" not in message
    return message


@pytest.mark.processes
async def test_a_proxy_that_fails_later_is_tried_again(proxy: HubgateProxy) -> None:
    await proxy.start()
    await proxy.stop()
    check: Any = proxy._check_running_callback
    check.start()
    proxy.command = ["no-such-program"]
    with pytest.raises(Exception, match="no program"):
        await proxy.start()
    assert check.is_running()
    check.stop()


# --- killed, and replaced ---

HOURS = 10_000  # seconds: the hub's own check never comes

needs_pidfd = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="no pidfd")


def public_port(proxy: HubgateProxy) -> int:
    return int(proxy.public_url.strip("/").rsplit(":", 1)[1])


def crash(proxy: HubgateProxy) -> float:
    """End the supervisor and all its workers with SIGKILL; return when, on the loop's clock.

    Nothing else of this test runs meanwhile: what is asked after it meets none of them.
    """
    everybody = [psutil.Process(proxy.proxy_process.pid), *workers(proxy)]
    kill(everybody)
    while any(map(lives, everybody)):
        time.sleep(0.001)
    return asyncio.get_running_loop().time()


async def replaced(proxy: HubgateProxy, killed: Any) -> None:
    """Wait until the next proxy answers through its API."""
    await until(lambda: proxy.proxy_process is not killed and not proxy._starting.locked(), 120)
    await proxy.get_all_routes()


@pytest.fixture
def many_files() -> Iterator[None]:
    # On a slow machine a thousand may come before the first is answered.
    with files_allowed(4096):
        yield


@pytest.mark.processes
@needs_pidfd
@pytest.mark.usefixtures("many_files")
@pytest.mark.parametrize("count", [1, 3])
async def test_nobody_is_refused_while_the_proxy_is_replaced(
    proxy: HubgateProxy, count: int
) -> None:
    proxy.workers, proxy.check_running_interval = count, HOURS
    await proxy.start()
    await until(lambda: len(workers(proxy)) == count)
    crashes = []
    async with asking(public_port(proxy)) as outcomes:
        for _ in range(3):
            await until(lambda: len(workers(proxy)) == count)
            await until(lambda: outcomes and outcomes[-1].answered)
            killed = proxy.proxy_process
            crashes.append(crash(proxy))
            await replaced(proxy, killed)
    # Only whoever a worker may have accepted before it was killed is cut off.
    cut = [one for one in outcomes if not one.answered]
    assert all(any(one.begun < moment < one.ended for moment in crashes) for one in cut)
    assert len(outcomes) > 100


@pytest.mark.processes
async def test_the_hubs_own_check_replaces_it_too(
    proxy: HubgateProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    await proxy.start()
    await until(lambda: proxy._keeper.keeps)
    killed = proxy.proxy_process
    async with asking(public_port(proxy)):
        crash(proxy)
        await replaced(proxy, killed)


@pytest.mark.processes
async def test_two_who_notice_start_one(proxy: HubgateProxy) -> None:
    others = psutil.Process().children()
    await proxy.start()
    killed = proxy.proxy_process
    killed.kill()
    killed.wait()
    await asyncio.gather(*(proxy.check_running() for _ in range(3)), proxy.start())
    await replaced(proxy, killed)
    ours = [
        one
        for one in psutil.Process().children()
        if one not in others
        if one.cmdline()[0].startswith("hubgate: supervisor") or "hubgate.cli.chp" in one.cmdline()
    ]
    assert [one.pid for one in ours] == [proxy.proxy_process.pid]


@pytest.mark.processes
async def test_a_stopped_proxy_leaves_no_port_and_no_folder(proxy: HubgateProxy) -> None:
    await proxy.start()
    await until(lambda: proxy._keeper.keeps)
    folder = Path(proxy._keeper.path or "").parent
    assert folder.stat().st_mode & 0o777 == 0o700
    await proxy.stop()
    assert not folder.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", public_port(proxy)))


@pytest.mark.processes
async def test_a_port_that_nobody_will_accept_on_is_given_up(proxy: HubgateProxy) -> None:
    proxy.check_running_interval = HOURS
    await proxy.start()
    await proxy.add_route("/", "http://127.0.0.1:9", {})
    await until(lambda: proxy._keeper.keeps)
    proxy.command = ["no-such-program"]
    proxy._unwatch_process()
    crash(proxy)
    proxy.proxy_process.wait()
    for failed in range(FAILED_STARTS):
        assert proxy._keeper.keeps, failed
        with pytest.raises(Exception, match="no program"):
            await proxy.check_running()
    assert not proxy._keeper.keeps
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", public_port(proxy)))


@pytest.mark.processes
async def test_a_proxy_that_knows_no_keeper_opens_its_own_ports(proxy: HubgateProxy) -> None:
    proxy.command = ["env", "-u", "HUBGATE_KEEPER", *proxy.command]
    await proxy.start()
    assert await proxy.get_all_routes() == {}
    assert not proxy._keeper.keeps
    killed = proxy.proxy_process
    crash(proxy)
    await replaced(proxy, killed)


@pytest.mark.processes
async def test_nothing_of_it_reaches_other_children_of_the_hub(proxy: HubgateProxy) -> None:
    await proxy.start()
    assert "HUBGATE_KEEPER" not in os.environ
    await until(lambda: proxy._keeper.keeps)
    assert not any(map(os.get_inheritable, proxy._keeper._kept))
