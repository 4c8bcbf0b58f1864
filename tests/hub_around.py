"""The hub's proxy class with as much of a hub around it as it looks at."""

import gc
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from jupyterhub.httpclient import JupyterHubHTTPClient

from hubgate.jupyterhub import HubgateProxy
from tests.contract.ports import distinct_ports


async def no_routes() -> None:
    """What a hub without users restores."""


@asynccontextmanager
async def proxy_of_a_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[HubgateProxy]:
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
    monkeypatch.setattr(one, "restore_routes", no_routes)
    yield one
    if one.proxy_process is not None:
        await one.stop()
    if JupyterHubHTTPClient.initialized():
        await JupyterHubHTTPClient.instance().close()
        JupyterHubHTTPClient.clear_instance()
    # A hub whose proxy fails abandons a future, which asyncio reports when it is collected:
    # better here than in the middle of whatever runs next.
    gc.collect()
