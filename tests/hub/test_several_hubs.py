"""Hubs as in docs/jupyterhub.md behind one hubgate, or two: none touches another's routes."""

import json
import re
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.browser.documented import PROGRAMS, blocks
from tests.browser.hub import START_LIMIT
from tests.contract.harness import accepts
from tests.contract.ports import distinct_ports
from tests.control.waiting import until
from tests.hub import running
from tests.hub.person import person
from tests.hub.running import JUPYTERHUB, SETTINGS, Site
from tests.hub.test_subdomains import EveryNameIsHere
from tests.redis_server import redis_server

pytestmark = pytest.mark.timeout(900)

SECTION = "Several hubs"
NAMES = ("a", "b", "c")
# Ports that the page names.
PORTS = ("8000", "8001", "8081", "8082", "8083")

STATIC = {".hub-a.example.org/", "/hub-b", ".hub-c.example.org/"}
SERVICE = "hubgate--service.hub-a.example.org/services/hubgate"
# What a hub takes for its own, and does not know: by the key, how and by whom it is removed.
HUBS_OWN = {"target": "http://127.0.0.1:9", "jupyterhub": True, "user": "x"}
STALE = {
    "/user/gone?host=gone.hub-a.example.org": ("/gone.hub-a.example.org/user/gone", "hub-a"),
    "/hub-b/user/gone": ("/hub-b/user/gone", "hub-b"),
    "/user/gone?host=.hub-c.example.org": ("/user/gone", "hub-c"),
}
# Rounds of `check_routes` of each hub, one a second.
ROUNDS = 3


@dataclass
class House:
    """A hubgate with the hubs of the page, each in a folder of its own."""

    folder: Path
    ports: Mapping[str, str]

    def ports_of(self, name: str) -> Mapping[str, str]:
        """Return the ports of a hub: where people come in, its API and its own."""
        return self.ports

    @property
    def apis(self) -> tuple[str, ...]:
        """The port of the API of every hubgate."""
        return (self.ports["8001"],)

    def site(self, name: str) -> Site:
        """Return where people reach a hub."""
        hosts = {"a": "hub-a.example.org", "b": "127.0.0.1", "c": "hub-c.example.org"}
        path = "/hub-b" if name == "b" else ""
        port = self.ports_of(name)["8000"]
        return Site(f"http://{hosts[name]}:{port}{path}", connector, token="")

    @asynccontextmanager
    async def proxy(self) -> AsyncIterator[None]:
        """Type what the page says."""
        text = own(blocks(SECTION, "yaml")[0], self.ports)
        (self.folder / "several.yaml").write_text(self.stored(text))
        *before, last = blocks(SECTION, "sh")[0].strip().splitlines()
        lines = "\n".join([f"PATH={PROGRAMS}:$PATH", *before, f"exec {last}"])
        started = await running.start(["sh", "-c", lines], self.folder, self.site("a"))
        try:
            await until(lambda: accepts(("127.0.0.1", int(self.ports["8001"]))), START_LIMIT)
            yield
        finally:
            await running.stop(started)

    def stored(self, text: str) -> str:
        """Return text of the page with the store of this house."""
        return text

    @asynccontextmanager
    async def hub(self, name: str, text: str) -> AsyncIterator[None]:
        """Run a hub with the page's configuration, which checks its routes every second."""
        folder = self.folder / name
        folder.mkdir()
        shutil.copy(self.folder / f"{name}.token", folder)
        ports = self.ports_of(name)
        basics: dict[str, Any] = {
            **SETTINGS,
            "SimpleLocalProcessSpawner.home_dir_template": str(folder / "home" / "{username}"),
            "JupyterHub.hub_port": int(ports["8081"]),
            "JupyterHub.last_activity_interval": 1,
        }
        del basics["ConfigurableHTTPProxy.command"]
        if name == "a":
            # Any page that answers: here the one that the API has for people.
            url = f"http://127.0.0.1:{ports['8001']}"
            basics["JupyterHub.services"] = [{"name": "hubgate", "url": url}]
        running.write_config(folder / "config.py", basics)
        with (folder / "config.py").open("a") as file:
            # The servers end with the test.
            ending = text.replace("cleanup_servers = False", "cleanup_servers = True")
            file.write(own(ending, ports))
        started = await running.start(
            [*JUPYTERHUB, "--config", "config.py"], folder, self.site(name)
        )
        try:
            await running.until_healthy(self.site(name), started, folder)
            yield
        finally:
            await running.stop(started)

    async def tables(self) -> list[set[str]]:
        """Return the routes of every hubgate."""
        return [set(await self.ask("GET", port=port)) for port in self.apis]

    async def ask(
        self, method: str, path: str = "", body: object = None, port: str | None = None
    ) -> Any:
        """Ask an API with the token for everything."""
        token = (self.folder / "admin.token").read_text().strip()
        url = f"http://127.0.0.1:{port or self.ports['8001']}/api/routes{path}"
        headers = {"Authorization": f"token {token}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.request(method, url, data=json.dumps(body) if body else None) as answer,
        ):
            assert answer.ok
            return await answer.json() if method == "GET" else None

    async def rounds(self, count: int) -> None:
        """Wait until each hub has looked at its routes `count` times more."""
        wanted = {name: self.checks(name) + count for name in NAMES}
        await until(
            lambda: all(self.checks(name) >= most for name, most in wanted.items()), START_LIMIT
        )

    def checks(self, name: str) -> int:
        return self.log().count(f"200 GET /api/routes by hub-{name}")

    def log(self) -> str:
        return running.read_log(self.folder)


@dataclass
class TwoReplicas(House):
    """Two hubgates on one Redis; each hub talks to one of them, and its people to the other."""

    others: Mapping[str, str]
    store: str

    def ports_of(self, name: str) -> Mapping[str, str]:
        control, people = self.ports, self.others
        if name == "b":
            control, people = people, control
        return {**self.ports, "8000": people["8000"], "8001": control["8001"]}

    @property
    def apis(self) -> tuple[str, ...]:
        return self.ports["8001"], self.others["8001"]

    def stored(self, text: str) -> str:
        return text.replace("sqlite:routes.db", self.store)

    @asynccontextmanager
    async def proxy(self) -> AsyncIterator[None]:
        async with super().proxy():
            text = own(blocks(SECTION, "yaml")[0], self.others)
            (self.folder / "other.yaml").write_text(self.stored(text))
            command = [str(PROGRAMS / "proxyctl"), "serve", "other.yaml"]
            started = await running.start(command, self.folder, self.site("a"))
            try:
                port = int(self.others["8001"])
                await until(lambda: accepts(("127.0.0.1", port)), START_LIMIT)
                yield
            finally:
                await running.stop(started)


def own(text: str, ports: Mapping[str, str]) -> str:
    """Return text of the page with these ports."""
    return re.sub("|".join(PORTS), lambda found: ports[found[0]], text)


def some_ports() -> dict[str, str]:
    return dict(zip(PORTS, map(str, distinct_ports(len(PORTS))), strict=True))


def connector() -> aiohttp.TCPConnector:
    return aiohttp.TCPConnector(resolver=EveryNameIsHere())


@asynccontextmanager
async def house(folder: Path, replicas: int) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        one = House(folder, some_ports())
        if replicas > 1:
            redis = stack.enter_context(redis_server(folder / "redis"))
            one = TwoReplicas(folder, one.ports, some_ports(), redis.url)
        await stack.enter_async_context(one.proxy())
        for name, text in zip(NAMES, blocks(SECTION), strict=True):
            await stack.enter_async_context(one.hub(name, text))
        yield one


@pytest.mark.parametrize("replicas", [1, 2])
async def test_no_hub_touches_anothers_routes(tmp_path: Path, replicas: int) -> None:
    async with house(tmp_path, replicas) as one:
        port = one.ports_of("a")["8000"]
        own = f"http://alice.hub-a.example.org:{port}/user/alice/"
        async with (
            person(one.site("a"), "alice", own) as alice,
            person(one.site("b"), "bob", f"{one.site('b').url}/user/bob/") as bob,
            person(one.site("c"), "carol", f"{one.site('c').url}/user/carol/") as carol,
        ):
            people = (alice, bob, carol)
            kernels = [await each.start_kernel() for each in people]
            for each, kernel in zip(people, kernels, strict=True):
                await each.run(kernel, "answer = 6 * 7")
            expected = STATIC | {
                SERVICE,
                "alice.hub-a.example.org/user/alice",
                "/hub-b/user/bob",
                ".hub-c.example.org/user/carol",
            }
            assert await one.tables() == [expected] * replicas
            # Each hub tidies up in its own part, and nobody where it is nobody's.
            for key in (*STALE, "/user/stays"):
                await one.ask("POST", key, HUBS_OWN)
            await one.rounds(ROUNDS)
            assert await one.tables() == [expected | {"/user/stays"}] * replicas
            for each, kernel in zip(people, kernels, strict=True):
                assert await each.run(kernel, "print(answer)") == "42\n"
        removed = set(re.findall(r"204 DELETE /api/routes(\S+) by (\S+)", one.log()))
        assert {each for each in removed if "gone" in each[0]} == set(STALE.values())
    for name in NAMES:
        log = running.read_log(one.folder / name)
        assert "Traceback" not in log
        # What it has posted it recognizes: nothing is missing after the start, nor updated.
        missing = re.findall(r"Adding missing route for (\S+)", log)
        assert missing == (["hubgate"] if name == "a" else [])
        assert not re.search(r"Updating (Hub )?route", log)


async def test_a_hub_outside_its_scope_ends_with_one_line(tmp_path: Path) -> None:
    one = House(tmp_path, some_ports())
    text = blocks(SECTION)[1].replace("/hub-b/", "/other/")
    async with one.proxy():
        with pytest.raises(AssertionError, match="did not come up"):
            async with one.hub("b", text):
                pass
        assert await one.ask("GET") == {}
    log = running.read_log(tmp_path / "b")
    told = '403, message="route /other is outside this token\'s scope, which is /hub-b"'
    assert told in log
    assert "Traceback" not in log
