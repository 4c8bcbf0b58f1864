"""Hubs configured from docs/jupyterhub.md alone, so that the page cannot lie."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import psutil
from playwright.async_api import Browser

from tests.browser.desk import LIMIT, Desk
from tests.browser.hub import ROOT, STOP_LIMIT
from tests.contract.ports import distinct_ports
from tests.hub import running
from tests.hub.running import JUPYTERHUB, SETTINGS, Process, Site
from tests.processes import kill

PAGE = ROOT / "docs" / "jupyterhub.md"
PROGRAMS = Path(sys.executable).parent

# Ports that the page names, which are others' on a machine with many tests.
PORTS = ("8000", "8001", "8002", "8080", "8081", "8443")

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(heading: str, language: str = "python") -> list[str]:
    """Return the blocks of code in a section of the page."""
    section = PAGE.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found = [text for kind, text in _BLOCK.findall(section) if kind == language]
    assert found, f"no {language} under {heading}"
    return found


@dataclass
class Place:
    """A folder for one hub, with ports of its own in place of those on the page.

    `started` are the processes started here, `left` those that a hub has left behind on purpose.
    """

    folder: Path
    ports: dict[str, str] = field(
        default_factory=lambda: dict(zip(PORTS, map(str, distinct_ports(6)), strict=True))
    )

    started: list[Process] = field(default_factory=list)
    left: list[psutil.Process] = field(default_factory=list)

    @property
    def site(self) -> Site:
        """Where people come in."""
        return self.at("8000")

    def at(self, port: str, scheme: str = "http") -> Site:
        """Return the site at a port of the page; its certificate, if any, is taken as it is."""
        return Site(f"{scheme}://127.0.0.1:{self.ports[port]}", not_verifying, "documented")

    def own(self, text: str) -> str:
        """Return text from the page or the tree with the ports of this place."""
        return re.sub("|".join(PORTS), lambda found: self.ports[found[0]], text)

    def configure(self, *texts: str) -> None:
        """Write the hub's configuration: what any hub of a test needs, and texts of the page."""
        home = str(self.folder / "home" / "{username}")
        basics = {
            **SETTINGS,
            "SimpleLocalProcessSpawner.home_dir_template": home,
            "Spawner.default_url": "/lab",
            "JupyterHub.bind_url": self.at("8000").url,
            "JupyterHub.hub_port": int(self.ports["8081"]),
            "ConfigurableHTTPProxy.api_url": self.at("8001").url,
        }
        del basics["ConfigurableHTTPProxy.command"]
        running.write_config(self.folder / "config.py", basics)
        with (self.folder / "config.py").open("a") as file:
            file.writelines(map(self.own, texts))

    async def start_hub(self, site: Site | None = None) -> Process:
        """Start the configured hub; return once it answers through its proxy."""
        at = site or self.site
        hub = await self._start([*JUPYTERHUB, "--config", "config.py"])
        await running.until_healthy(at, hub, self.folder)
        return hub

    async def leave(self, hub: Process) -> None:
        """Stop a hub that leaves its users' servers running."""
        family = psutil.Process(hub.pid).children(recursive=True)
        hub.terminate()
        async with asyncio.timeout(STOP_LIMIT):
            await hub.wait()
        self.left += [each for each in family if each.is_running()]

    async def end(self) -> None:
        """Stop whatever still runs."""
        for process in reversed(self.started):
            if process.returncode is None:
                await self.leave(process)
        kill([each for each in self.left if each.is_running()])

    @asynccontextmanager
    async def hub(self, site: Site | None = None) -> AsyncIterator[Process]:
        """Run the configured hub until the block ends."""
        started = await self.start_hub(site)
        try:
            yield started
        finally:
            await running.stop(started)

    async def shell(self, text: str) -> Process:
        """Start what the page says to type; its last command is the process itself."""
        *before, last = self.own(text).strip().splitlines()
        lines = "\n".join([f"PATH={PROGRAMS}:$PATH", *before, f"exec {last}"])
        return await self._start(["sh", "-c", lines])

    async def _start(self, command: list[str]) -> Process:
        process = await running.start(command, self.folder, self.site)
        self.started.append(process)
        return process

    async def get(self, url: str) -> tuple[int, str]:
        """Return status and body of a request, redirects not followed."""
        async with (
            aiohttp.ClientSession(connector=not_verifying()) as session,
            session.get(url, allow_redirects=False) as answer,
        ):
            return answer.status, await answer.text()

    def log(self) -> str:
        """Return what hub, proxy and commands have said."""
        return running.read_log(self.folder)

    def tracebacks(self) -> list[str]:
        """Return the lines before tracebacks, but not those of notebook servers.

        They print one when a browser leaves before they have responded.
        """
        lines = [line for line in self.log().splitlines() if line[:1] == "[" or "Traceback" in line]
        pairs = zip(["", *lines], lines, strict=False)
        return [one for one, next_ in pairs if "Traceback" in next_ and " ServerApp] " not in one]


def not_verifying() -> aiohttp.TCPConnector:
    return aiohttp.TCPConnector(ssl=False)


@asynccontextmanager
async def desk(browser: Browser, site: Site, name: str) -> AsyncIterator[Desk]:
    """Somebody who logs in at a site and works: a server is spawned, a kernel answers."""
    context = await browser.new_context(ignore_https_errors=True)
    context.set_default_timeout(LIMIT * 1000)
    try:
        page = await context.new_page()
        await page.goto(f"{site.url}/hub/login")
        await page.fill("#username_input", name)
        await page.fill("#password_input", "any")
        await page.click("#login_submit")
        await page.wait_for_url(f"{site.url}/user/{name}/lab**")
        person = Desk(page, f"{site.url}/user/{name}/")
        await person.open_notebook()
        yield person
    finally:
        await context.close()


async def ended(process: Process, limit: float = 60.0) -> int:
    """Return the exit code of a command that ends by itself."""
    async with asyncio.timeout(limit):
        return await process.wait()


def lines_with(text: str, words: Iterable[str]) -> list[str]:
    """Return the lines that contain each of these words."""
    return [line for line in text.splitlines() if all(word in line for word in words)]
