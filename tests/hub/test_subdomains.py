"""A hub that gives each user a host name of their own."""

import socket
from pathlib import Path

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from tests.contract.ports import distinct_ports
from tests.hub.person import person
from tests.hub.running import Site, hub

pytestmark = pytest.mark.timeout(600)


class EveryNameIsHere(AbstractResolver):
    """Resolves every name to this machine, as a wildcard record would."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host="127.0.0.1",
                port=port,
                family=socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        pass


async def test_a_cell_runs_on_the_users_own_host(tmp_path: Path) -> None:
    port, api_port, hub_port = distinct_ports(3)
    site = Site(f"http://hub.test:{port}", lambda: aiohttp.TCPConnector(resolver=EveryNameIsHere()))
    settings = {
        "JupyterHub.bind_url": f"http://127.0.0.1:{port}",
        "JupyterHub.subdomain_host": site.url,
        "JupyterHub.hub_port": hub_port,
        "ConfigurableHTTPProxy.api_url": f"http://127.0.0.1:{api_port}",
    }
    async with (
        hub(tmp_path, site, settings),
        person(site, "alice", f"http://alice.hub.test:{port}/user/alice/") as alice,
    ):
        kernel = await alice.start_kernel()
        assert await alice.run(kernel, "print(6 * 7)") == "42\n"
        # The same path on another host is not her route: the hub answers, and sends her home.
        elsewhere = f"http://bob.hub.test:{port}/user/alice/api"
        async with alice.session.get(elsewhere, allow_redirects=False) as answer:
            assert answer.status == 302
