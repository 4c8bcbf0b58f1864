"""A hub with TLS and client certificates on every connection behind the proxy."""

import asyncio
import re
from pathlib import Path

import aiohttp
import pytest

from tests.browser.hub import ROOT
from tests.cli.running import PROXYCTL, run
from tests.contract.ports import distinct_ports
from tests.hub.person import person
from tests.hub.running import Site, hub

PAGE = ROOT / "docs" / "jupyterhub.md"

pytestmark = pytest.mark.timeout(600)


async def test_a_cell_runs_over_mutual_tls(tmp_path: Path) -> None:
    port, api_port, hub_port = distinct_ports(3)
    site = Site(f"http://127.0.0.1:{port}")
    api = f"https://127.0.0.1:{api_port}"
    settings = {
        "JupyterHub.proxy_class": "hubgate",
        "JupyterHub.bind_url": site.url,
        "JupyterHub.internal_ssl": True,
        # Notebook servers read their certificates there, from folders of their own.
        "JupyterHub.internal_certs_location": str(tmp_path / "internal-ssl"),
        "JupyterHub.hub_port": hub_port,
        "HubgateProxy.api_url": api,
    }
    async with (
        hub(tmp_path, site, settings),
        person(site, "alice", f"{site.url}/user/alice/") as alice,
    ):
        kernel = await alice.start_kernel()
        assert await alice.run(kernel, "print(6 * 7)") == "42\n"
        with pytest.raises(aiohttp.ClientError):
            # Even an API call with the token needs a certificate of the hub's own CA.
            await alice.session.get(
                f"{api}/api/routes", headers={"Authorization": f"token {site.token}"}, ssl=False
            )
        # As docs/jupyterhub.md says.
        (line,) = re.findall(r"^    proxyctl (list --cert .+)$", PAGE.read_text(), re.MULTILINE)
        asked = (*line.split(), "--api-url", api)
        listed = await asyncio.to_thread(run, PROXYCTL, *asked, cwd=tmp_path)
        assert (listed.returncode, listed.stderr) == (0, "")
        assert "/user/alice" in listed.stdout
