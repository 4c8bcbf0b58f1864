"""A hub whose proxy is killed, again and again, under somebody at work."""

import asyncio
import os
from pathlib import Path

import psutil
import pytest

from tests.contract.ports import distinct_ports
from tests.control.waiting import until
from tests.hub.person import person
from tests.hub.running import Site, hub, read_log
from tests.processes import kill

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="no pidfd"),
]


BACK = "New proxy back up and good to go"


def crash(pid_file: Path) -> None:
    """End the proxy and its workers with SIGKILL."""
    proxy = psutil.Process(int(pid_file.read_text()))
    workers = proxy.children(recursive=True)
    kill([proxy, *workers])
    psutil.wait_procs(workers, 30)


async def test_people_go_on_when_the_proxy_is_killed(tmp_path: Path) -> None:
    port, api_port, hub_port = distinct_ports(3)
    site = Site(f"http://127.0.0.1:{port}")
    settings = {
        "JupyterHub.proxy_class": "hubgate",
        "JupyterHub.bind_url": site.url,
        "JupyterHub.hub_port": hub_port,
        "HubgateProxy.api_url": f"http://127.0.0.1:{api_port}",
        "HubgateProxy.workers": 2,
        # Seconds: the hub itself does not look while this lasts.
        "HubgateProxy.check_running_interval": 3600,
    }
    async with (
        hub(tmp_path, site, settings),
        person(site, "alice", f"{site.url}/user/alice/") as alice,
    ):
        kernel = await alice.start_kernel()
        await alice.run(kernel, "answer = 6 * 7")
        for kills in range(3):
            # One killed before that failed to start: the hub tries again when it looks next.
            await until(lambda kills=kills: read_log(tmp_path).count(BACK) == kills, 60)
            # In a thread, so that the connections that have broken are seen to have.
            await asyncio.to_thread(crash, tmp_path / "jupyterhub-proxy.pid")
            # Neither refused nor answered by a proxy that does not know her yet.
            async with alice.session.get(f"{alice.server}api/status") as answer:
                assert answer.status == 200
            assert await alice.run(kernel, "print(answer)") == "42\n"
