"""Real JupyterHubs behind hubgate, each with the settings its test is about."""

import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from tests.browser.hub import ROOT, START_LIMIT, STOP_LIMIT
from tests.processes import kill

DROP_IN = str(Path(sys.executable).with_name("configurable-http-proxy"))
JUPYTERHUB = (sys.executable, "-P", "-m", "jupyterhub")

# One line in the hub's configuration each, without the `c.` in front.
SETTINGS: Mapping[str, Any] = {
    "JupyterHub.authenticator_class": "dummy",
    "Authenticator.allow_all": True,
    "JupyterHub.spawner_class": "simple",
    "Spawner.cmd": [sys.executable, "-P", "-m", "jupyterhub.singleuser"],
    "Spawner.args": ["--allow-root"],
    "Spawner.environment": {"JUPYTER_CONFIG_PATH": str(ROOT / "dev" / "jupyter")},
    "Spawner.start_timeout": int(START_LIMIT),
    "Spawner.http_timeout": int(START_LIMIT),
    # Now and then a notebook server hangs when it is told to stop.
    "LocalProcessSpawner.interrupt_timeout": 4,
    "LocalProcessSpawner.term_timeout": 3,
    "ConfigurableHTTPProxy.command": [DROP_IN],
}

Process = asyncio.subprocess.Process


@dataclass(frozen=True)
class Site:
    """Where people reach a hub: its address, and what connects a client to it."""

    url: str
    connect: Callable[[], aiohttp.BaseConnector] = aiohttp.TCPConnector
    token: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)


@asynccontextmanager
async def hub(
    folder: Path,
    site: Site,
    settings: Mapping[str, Any],
    command: Sequence[str] = JUPYTERHUB,
) -> AsyncIterator[Process]:
    """Run a hub in `folder`, from its first answer through the proxy to its end.

    A setting that is None is left to the hub's own default.
    """
    home = {"SimpleLocalProcessSpawner.home_dir_template": str(folder / "home" / "{username}")}
    chosen = {**SETTINGS, **home, **settings}
    write_config(
        folder / "config.py", {name: value for name, value in chosen.items() if value is not None}
    )
    started = await start([*command, "--config", "config.py"], folder, site)
    try:
        await until_healthy(site, started, folder)
        yield started
    finally:
        await stop(started)


async def start(command: list[str], folder: Path, site: Site) -> Process:
    """Start `command` in `folder`, its output in `output.log`, with the API's token."""
    own = {"CONFIGPROXY_AUTH_TOKEN": site.token, "XDG_STATE_HOME": str(folder / "state")}
    with open_log(folder) as output:
        return await asyncio.create_subprocess_exec(
            *command, cwd=folder, env=os.environ | own, stdout=output, stderr=subprocess.STDOUT
        )


async def stop(started: Process) -> None:
    """End a process with SIGTERM; fails if it, or anything it started, is there afterwards."""
    if started.returncode is not None:
        return
    family = psutil.Process(started.pid).children(recursive=True)
    started.terminate()
    async with asyncio.timeout(STOP_LIMIT):
        await started.wait()
    _, left = await asyncio.to_thread(psutil.wait_procs, family, timeout=STOP_LIMIT)
    kill(left)
    assert not left, f"still running after SIGTERM: {left}"


async def until_healthy(site: Site, started: Process, folder: Path) -> None:
    """Wait until the hub answers through the proxy; fails if it ends or takes too long."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + START_LIMIT
    while True:
        if await healthy(site):
            return
        if started.returncode is not None or clock() > deadline:
            raise AssertionError(f"the hub did not come up:\n{read_log(folder)[-6000:]}")
        await asyncio.sleep(0.2)


async def healthy(site: Site) -> bool:
    """True if the hub answers through the proxy."""
    try:
        async with (
            aiohttp.ClientSession(connector=site.connect()) as session,
            session.get(f"{site.url}/hub/health") as answer,
        ):
            return answer.status == 200
    except aiohttp.ClientError:
        return False


def write_config(file: Path, settings: Mapping[str, Any]) -> None:
    lines = [f"c.{name} = {value!r}" for name, value in settings.items()]
    file.write_text("\n".join(["c = get_config()", *lines, ""]))


def open_log(folder: Path) -> Any:
    return (folder / "output.log").open("ab")


def read_log(folder: Path) -> str:
    """Return all that the processes of a folder have said."""
    return (folder / "output.log").read_text()
