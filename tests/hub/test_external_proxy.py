"""hubgate that the hub did not start, restarted under a running hub."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil
import pytest

from tests.browser.hub import START_LIMIT
from tests.contract.harness import accepts
from tests.contract.ports import distinct_ports
from tests.control.waiting import until
from tests.hub import running
from tests.hub.person import Person, person
from tests.hub.running import Process, Site, hub

pytestmark = pytest.mark.timeout(600)


@dataclass
class Outside:
    """A proxy that somebody else than the hub starts and stops."""

    command: list[str]
    folder: Path
    site: Site
    process: Process

    async def restart(self, number: signal.Signals) -> None:
        """End it with that signal and start it again with the same command."""
        workers = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(number)
        await self.process.wait()
        await asyncio.to_thread(psutil.wait_procs, workers, 60)
        self.process = await running.start(self.command, self.folder, self.site)


@asynccontextmanager
async def outside(folder: Path, site: Site, api_port: int, *options: str) -> AsyncIterator[Outside]:
    command = [running.DROP_IN, "--api-port", str(api_port), *options]
    proxy = Outside(command, folder, site, await running.start(command, folder, site))
    try:
        await until(lambda: accepts(("127.0.0.1", api_port)), START_LIMIT)
        yield proxy
    finally:
        await running.stop(proxy.process)


async def test_people_go_on_when_the_proxy_is_restarted(tmp_path: Path) -> None:
    port, api_port, hub_port = distinct_ports(3)
    site = Site(f"http://127.0.0.1:{port}")
    options = (
        *("--ip", "127.0.0.1", "--port", str(port)),
        *("--error-target", f"http://127.0.0.1:{hub_port}/hub/error"),
    )
    settings = {
        "JupyterHub.bind_url": site.url,
        "JupyterHub.hub_port": hub_port,
        # Seconds after which the hub looks at the proxy's routes and adds those that are gone.
        "JupyterHub.last_activity_interval": 1,
        "ConfigurableHTTPProxy.api_url": f"http://127.0.0.1:{api_port}",
        "ConfigurableHTTPProxy.should_start": False,
    }
    async with (
        outside(tmp_path, site, api_port, *options) as proxy,
        hub(tmp_path, site, settings),
        person(site, "alice", f"{site.url}/user/alice/") as alice,
    ):
        kernel = await alice.start_kernel()
        await alice.run(kernel, "answer = 6 * 7")
        for number in (signal.SIGTERM, signal.SIGKILL):
            await proxy.restart(number)
            await until_answered(alice)
            assert await alice.run(kernel, "print(answer)") == "42\n"


async def until_answered(one: Person) -> None:
    """Ask the user's server again and again, as an open JupyterLab does."""
    async with asyncio.timeout(START_LIMIT):
        while True:
            try:
                async with one.session.get(f"{one.server}api/status") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass  # the new proxy does not listen yet
            await asyncio.sleep(0.2)
