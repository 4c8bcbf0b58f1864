"""A JupyterHub in front of which are the hubgates of docs/high-availability.md."""

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.hub import running
from tests.hub.running import JUPYTERHUB, SETTINGS, Process, Site
from tests.replicated.machines import BALANCER, Machines
from tests.replicated.page import block


def site(machines: Machines) -> Site:
    """Return where people come in."""
    host, port = machines.place.at(BALANCER, "443")
    return Site(f"https://{host}:{port}", lambda: aiohttp.TCPConnector(ssl=False), machines.token)


def culler(idle: int) -> dict[str, Any]:
    """Return the settings of jupyterhub-idle-culler, after so many seconds."""
    command = [sys.executable, "-m", "jupyterhub_idle_culler", f"--timeout={idle}"]
    scopes = ["list:users", "read:users:activity", "read:servers", "delete:servers"]
    return {
        "JupyterHub.services": [{"name": "culler", "command": [*command, "--cull-every=1"]}],
        "JupyterHub.load_roles": [{"name": "culler", "scopes": scopes, "services": ["culler"]}],
    }


def configure(folder: Path, machines: Machines, text: str, settings: Mapping[str, Any]) -> None:
    """Write a hub's configuration: what any hub of a test needs, `settings`, text of the page."""
    basics = {
        **SETTINGS,
        "SimpleLocalProcessSpawner.home_dir_template": str(folder / "home" / "{username}"),
        "Spawner.default_url": "/lab",
        "JupyterHub.hub_port": machines.place.ports["8081"],
        # Seconds between two looks at the proxy's routes.
        "JupyterHub.last_activity_interval": 1,
        **settings,
    }
    del basics["ConfigurableHTTPProxy.command"]
    # What servers tell of themselves: here only what proxies see shall count.
    basics["Spawner.environment"] |= {"JUPYTERHUB_ACTIVITY_INTERVAL": "100000"}
    running.write_config(folder / "config.py", basics)
    with (folder / "config.py").open("a") as file:
        file.write(machines.place.own(text))


async def start(folder: Path, machines: Machines, at: Site) -> Process:
    """Start the configured hub; return once it answers through its proxy."""
    trusting = ["env", f"SSL_CERT_FILE={machines.place.folder / 'ca.pem'}"]
    hub = await running.start([*trusting, *JUPYTERHUB, "--config", "config.py"], folder, at)
    try:
        await running.until_healthy(at, hub, folder)
    except BaseException:
        await running.stop(hub)
        raise
    return hub


@asynccontextmanager
async def documented_hub(machines: Machines, settings: Mapping[str, Any]) -> AsyncIterator[Path]:
    """Run the hub of the page until the block ends, with its users' servers; yields its folder."""
    folder = machines.place.folder / "hub"
    folder.mkdir()
    text = block("JupyterHub", "python").replace(
        "cleanup_servers = False", "cleanup_servers = True"
    )
    configure(folder, machines, text, settings)
    hub = await start(folder, machines, site(machines))
    try:
        yield folder
    finally:
        await running.stop(hub)
