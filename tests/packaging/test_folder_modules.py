"""A folder with files of our modules' names: whatever is started in it imports none of them."""

import asyncio
import http.client
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from tests.contract.polling import eventually
from tests.contract.ports import distinct_ports
from tests.control.waiting import until
from tests.environment import clean_environment
from tests.hub.running import DROP_IN, JUPYTERHUB, Site, healthy, hub, read_log
from tests.packaging import traps
from tests.processes import kill, workers_of
from tests.system.served import PROXYCTL, Served, serving
from tests.system.upgrading import upgrade

pytestmark = pytest.mark.timeout(600)

# As people start it, where the folder of the command is what Python adds to its path.
SCRIPT = (str(Path(sys.executable).with_name("jupyterhub")),)

UP = "Proxy started and appears to be up"

COMMANDS = {
    "proxyctl serve": ((PROXYCTL, "serve", "--host", "127.0.0.1"), "HUBGATE_TOKEN"),
    "proxyctl serve, without a script": (
        (sys.executable, "-P", "-m", "hubgate", "serve", "--host", "127.0.0.1"),
        "HUBGATE_TOKEN",
    ),
    "configurable-http-proxy": ((DROP_IN, "--ip", "127.0.0.1"), "CONFIGPROXY_AUTH_TOKEN"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    traps.lay(tmp_path)
    return tmp_path


def replace_worker(supervisor: psutil.Process) -> None:
    """Kill a proxy's only worker; return when there is another one."""
    (worker,) = workers_of(supervisor)
    kill([worker])
    assert eventually(lambda: {each.pid for each in workers_of(supervisor)} - {worker.pid} != set())


def health(served: Served) -> int:
    """Return what the proxy itself answers through a worker."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    try:
        connection.request("GET", "/_chp_healthz")
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize("name", traps.NAMES)
def test_an_unguarded_start_falls_into_the_trap(folder: Path, name: str) -> None:
    """Otherwise the tests below would say nothing."""
    command = [sys.executable, "-c", f"import {name}"]
    done = subprocess.run(
        command, cwd=folder, env=clean_environment(), capture_output=True, check=False
    )
    assert done.returncode == 1
    assert traps.run(folder) == {name}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_proxy_and_its_workers_import_nothing_of_it(folder: Path, name: str) -> None:
    command, variable = COMMANDS[name]
    with serving(folder, command=command, variable=variable) as served:
        assert health(served) == 200
        replace_worker(served.process)
        assert health(served) == 200
    assert traps.run(folder) == set()


async def test_an_upgrade_imports_nothing_of_it(folder: Path) -> None:
    with serving(folder) as served:
        before = {each.pid for each in workers_of(served.process)}
        code, said = await upgrade(served)
        assert code == 0, said
        assert eventually(
            lambda: before.isdisjoint(each.pid for each in workers_of(served.process))
        )
        assert health(served) == 200
    assert traps.run(folder) == set()


@pytest.mark.parametrize("command", [JUPYTERHUB, SCRIPT], ids=["module", "script"])
async def test_a_hub_and_its_proxy_import_nothing_of_it(
    folder: Path, command: Sequence[str]
) -> None:
    port, api_port, hub_port = distinct_ports(3)
    site = Site(f"http://127.0.0.1:{port}")
    settings = {
        "JupyterHub.proxy_class": "hubgate",
        "JupyterHub.log_level": 10,  # at which it says that it has found its proxy up
        "ConfigurableHTTPProxy.command": None,
        "JupyterHub.bind_url": site.url,
        "JupyterHub.hub_port": hub_port,
        "HubgateProxy.api_url": f"http://127.0.0.1:{api_port}",
    }
    async with hub(folder, site, settings, command):
        await until(lambda: read_log(folder).count(UP) == 1, 60)
        proxy = supervisor(folder)
        assert proxy.cmdline()[0].startswith("hubgate: supervisor")
        await asyncio.to_thread(replace_worker, proxy)
        assert await healthy(site)
        kill([proxy])
        # The hub starts another one in the same folder.
        await until(lambda: read_log(folder).count(UP) == 2, 60)
        assert supervisor(folder) != proxy
        assert await healthy(site)
    assert traps.run(folder) == set()


def supervisor(folder: Path) -> psutil.Process:
    """Return the proxy that a hub has started."""
    return psutil.Process(int((folder / "jupyterhub-proxy.pid").read_text()))
