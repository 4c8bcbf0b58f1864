"""The hub's proxy class starts, watches and stops a real hubgate."""

import gc
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from jupyterhub.httpclient import JupyterHubHTTPClient

from proxy.jupyterhub import HubgateProxy
from tests.contract.ports import distinct_ports
from tests.control.waiting import until


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[HubgateProxy]:
    """A proxy with as much of a hub around it as it looks at, not started."""
    port, api_port, hub_port = distinct_ports(3)
    one = HubgateProxy(
        log=logging.getLogger("hub"),
        app=SimpleNamespace(subdomain_host="", internal_ssl=False),
        hub=SimpleNamespace(url=f"http://127.0.0.1:{hub_port}/hub/"),
        public_url=f"http://127.0.0.1:{port}/",
        api_url=f"http://127.0.0.1:{api_port}",
        auth_token="secret",
        pid_file=str(tmp_path / "proxy.pid"),
    )
    yield one
    if one.proxy_process is not None:
        await one.stop()
    if JupyterHubHTTPClient.initialized():
        await JupyterHubHTTPClient.instance().close()
        JupyterHubHTTPClient.clear_instance()
    # A hub whose proxy fails abandons a future, which asyncio reports when it is collected:
    # better here than in the middle of whatever runs next.
    gc.collect()


def test_a_hub_finds_it_by_name() -> None:
    (entry,) = entry_points(group="jupyterhub.proxies", name="hubgate")
    assert entry.load() is HubgateProxy


def test_the_command_is_this_installation_whatever_path_says(
    proxy: HubgateProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert proxy.command[:3] == [sys.executable, "-m", "proxy.cli.chp"]


async def test_routes_go_in_and_out(proxy: HubgateProxy) -> None:
    await proxy.start()
    await proxy.add_route("/user/zoë/", "http://127.0.0.1:9", {"user": "zoë"})
    routes = await proxy.get_all_routes()
    (route,) = routes.values()
    assert (route["target"], route["data"]["user"]) == ("http://127.0.0.1:9", "zoë")
    await proxy.delete_route(next(iter(routes)))
    assert await proxy.get_all_routes() == {}


def workers(proxy: HubgateProxy) -> list[psutil.Process]:
    """Return the worker processes there are; the ports are open before the first one is."""
    children = psutil.Process(proxy.proxy_process.pid).children()
    return [one for one in children if "proxy.worker" in one.cmdline()]


async def test_it_has_as_many_workers_as_asked_for(proxy: HubgateProxy) -> None:
    proxy.workers = 2
    await proxy.start()
    await until(lambda: len(workers(proxy)) >= 2)
    await proxy.add_route("/", "http://127.0.0.1:9", {})
    assert len(workers(proxy)) == 2


async def test_stop_leaves_nothing(proxy: HubgateProxy, tmp_path: Path) -> None:
    await proxy.start()
    supervisor = psutil.Process(proxy.proxy_process.pid)
    await until(lambda: workers(proxy))
    started = [supervisor, *supervisor.children(recursive=True)]
    await proxy.stop()
    assert not [process for process in started if process.is_running()]
    assert not os.listdir(tmp_path)


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
    message = record.getMessage()
    assert "\n" not in message
    return message


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
