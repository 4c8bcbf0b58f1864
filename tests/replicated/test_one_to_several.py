"""From one hubgate to several, as docs/high-availability.md says, with a kernel that goes on."""

import asyncio
import json
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from tests.browser.documented import PROGRAMS, blocks
from tests.browser.hub import STOP_LIMIT
from tests.contract.harness import accepts
from tests.control.waiting import until
from tests.hub.person import Person, execute, person, printed
from tests.hub.running import Process, Site
from tests.hub.test_external_proxy import until_answered
from tests.processes import kill
from tests.replicated.hub import configure, start
from tests.replicated.machines import BALANCER, HUBGATES, LIMIT, Machines, machines, needs_parts
from tests.replicated.page import block

pytestmark = [needs_parts, pytest.mark.processes, pytest.mark.timeout(600)]

FIRST = 9
BY_HAND = "/docs"

# The one that is there: people come in where the balancer will be.
ALONE = """
listen:
  host: 10.0.0.9
  port: 443
  tls: {cert: /etc/hubgate/api.pem, key: /etc/hubgate/api-key.pem}
api: {host: 10.0.0.9, port: 8001, token_file: /etc/hubgate/api.token}
store: sqlite:routes.db
"""
# What docs/jupyterhub.md leaves to the machine.
HUB = """
c.HubgateProxy.api_url = "http://10.0.0.9:8001"
c.JupyterHub.hub_ip = "10.0.0.30"
c.HubgateProxy.auth_token = open("/etc/jupyterhub/api.token").read().strip()
"""


class Records(AbstractResolver):
    """The DNS record of hub.example.org, which leads to one address and then to another."""

    def __init__(self, address: str) -> None:
        self.address = address

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=self.address,
                port=port,
                family=socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        pass

    def connector(self) -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(resolver=self, use_dns_cache=False, ssl=False, force_close=True)


@asynccontextmanager
async def hub(folder: Path, some: Machines, at: Site, text: str) -> AsyncIterator[Process]:
    """Run a hub that leaves its users' servers alone."""
    configure(folder, some, text, {})
    started = await start(folder, some, at)
    try:
        yield started
    finally:
        started.terminate()
        async with asyncio.timeout(STOP_LIMIT):
            await started.wait()


@pytest.fixture
def some(tmp_path: Path) -> Iterator[Machines]:
    """Machines with one hubgate; what a hub has left behind ends with the test."""
    with machines(tmp_path) as made:
        made.serve("first", made.place.own(ALONE))
        yield made
    servers = [each for each in psutil.process_iter() if belongs(each, tmp_path)]
    kill(servers)
    psutil.wait_procs(servers, timeout=LIMIT)


def belongs(process: psutil.Process, folder: Path) -> bool:
    """Say whether a process works in a folder, as servers and kernels of its users do."""
    try:
        return Path(process.cwd()).is_relative_to(folder)
    except psutil.Error:
        return False


def start_new(some: Machines) -> None:
    """Start what the first two steps do."""
    some.start_store()
    for number in HUBGATES[:2]:
        some.start_hubgate(number)
    some.wait_for_hubgates(*HUBGATES[:2])
    some.start_balancer()


def copy_routes(some: Machines) -> None:
    """Type what the third step says."""
    typed = some.place.own(block("From one to several", "sh"))
    subprocess.run(
        ["sh", "-ec", f"PATH={PROGRAMS}:$PATH\n{typed}"],
        cwd=some.place.folder,
        check=True,
        timeout=LIMIT,
    )


@pytest.mark.parametrize("copied", [True, False], ids=["copied", "by the hub"])
async def test_a_kernel_goes_on(some: Machines, copied: bool) -> None:
    folder = some.place.folder / "hub"
    folder.mkdir()
    first, records = some.place.at(FIRST, "8001"), Records(some.place.host(FIRST))
    await until(lambda: accepts(first), LIMIT)
    url = f"https://hub.example.org:{some.place.ports['443']}"
    before = Site(url, records.connector, some.token)
    after = Site(url, Records(some.place.host(BALANCER)).connector, some.token)
    async with AsyncExitStack() as stack:
        async with hub(folder, some, before, blocks("A proxy of its own")[0] + HUB):
            alice = await stack.enter_async_context(person(before, "alice", f"{url}/user/alice/"))
            kernel = await alice.start_kernel()
            await alice.run(kernel, "answer = 6 * 7")
            await add_by_hand(some)
            await asyncio.to_thread(start_new, some)
            if copied:
                await asyncio.to_thread(copy_routes, some)
        assert await tables(some, 2) == [{"/", "/user/alice", BY_HAND} if copied else set()] * 2
        await stack.enter_async_context(hub(folder, some, after, block("JupyterHub", "python")))
        channel = await stack.enter_async_context(open_channel(alice, kernel))
        records.address = some.place.host(BALANCER)
        await until_answered(alice)
        assert await alice.run(kernel, "print(answer)") == "42\n"
        # What was open to the first one stays, until it is stopped.
        request = execute("print(answer)")
        await channel.send_str(json.dumps(request))
        assert await printed(channel, request["header"]["msg_id"]) == "42\n"
        await asyncio.to_thread(some.stop, "first")
        assert await closed_with(channel) == aiohttp.WSCloseCode.GOING_AWAY
        await asyncio.to_thread(some.start_hubgate, HUBGATES[2])
        await asyncio.to_thread(some.wait_for_hubgates)
        assert await alice.run(kernel, "print(answer)") == "42\n"
        assert (
            await tables(some, 3)
            == [{"/", "/user/alice", BY_HAND} if copied else {"/", "/user/alice"}] * 3
        )


async def add_by_hand(some: Machines) -> None:
    """Add a route that is not the hub's to the first one."""
    url = f"http://{':'.join(map(str, some.place.at(FIRST, '8001')))}/api/routes{BY_HAND}"
    headers = {"Authorization": f"token {some.token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(url, json={"target": "http://127.0.0.1:1"}) as answer,
    ):
        assert answer.status == 201


async def tables(some: Machines, count: int) -> list[set[str]]:
    """Return the routes of the first `count` of the new hubgates."""
    return [set(await asyncio.to_thread(some.ask, each, "GET")) for each in HUBGATES[:count]]


async def closed_with(channel: aiohttp.ClientWebSocketResponse) -> int:
    """Wait until a websocket is closed; return the code that its other side gave."""
    async with asyncio.timeout(LIMIT):
        while (message := await channel.receive()).type is not aiohttp.WSMsgType.CLOSE:
            pass
    return int(message.data)


def open_channel(one: Person, kernel: str) -> Any:
    """Open a websocket to a kernel."""
    return one.session.ws_connect(f"{one.server}api/kernels/{kernel}/channels")
