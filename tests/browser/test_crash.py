"""The whole proxy is killed under a person at work: its routes are back before the hub's are.

JupyterLab asks its server every ten seconds for its sessions and terminals. It says that the
server is gone when an answer is 503 or 424, which is what a hub answers for a route that is
missing, and also when there is no answer. The hub needs its seconds to notice that the port is
closed, so the proxy is killed right after JupyterLab has asked.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import psutil
import pytest
from playwright.async_api import Browser, Request, expect

from proxy.tasks import spawn
from tests.browser import hub as hubs
from tests.browser.desk import LIMIT, Desk, log_in
from tests.browser.hub import Hub
from tests.control.waiting import until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(900)]

POLLS = ("/api/sessions?", "/api/terminals?")
ATTEMPTS = 5


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    running = hubs.start(tmp_path_factory.mktemp("hub"), tls=False)
    yield running
    running.stop()


async def test_a_crash_of_the_proxy_shows_in_no_dialog(hub: Hub, browser: Browser) -> None:
    context = await browser.new_context()
    context.set_default_timeout(LIMIT * 1000)
    alice = await log_in(await context.new_page(), "alice", hub)
    for attempt in range(ATTEMPTS):
        await alice.open_notebook()
        before = await hub.routes()
        async with failed_polls(alice) as failed, alice.kernel_answers():
            # Next come those for the sessions, more than five seconds later.
            await alice.page.wait_for_event("requestfinished", lambda r: POLLS[1] in r.url)
            seen = await crash(hub)
        await alice.type(f"after crash {attempt}")
        assert seen.statuses == {200}, "a request met a proxy without its routes"
        assert seen.first_routes == targets(before)
        if not failed:
            break
    else:
        pytest.fail(f"the port was closed for more than five seconds {ATTEMPTS} times")
    dialog = alice.page.locator(".jp-Dialog")
    await expect(dialog).to_have_count(0)
    assert recovered_first(hub)

    # The same eyes see the dialog when the server answers as a hub does for a missing route.
    await alice.page.route("**/api/sessions?*", lambda route: route.fulfill(status=503))
    await expect(dialog).to_contain_text("Server unavailable or unreachable")
    await context.close()


class Seen:
    """What programs saw that asked all the time, from the kill until both ports answered."""

    def __init__(self) -> None:
        self.statuses: set[int] = set()
        self.first_routes: dict[str, str] = {}


async def crash(hub: Hub) -> Seen:
    """End the supervisor and every worker with SIGKILL; return what was seen of the next."""
    killed, seen = [hub.proxy(), *hub.workers()], Seen()
    for process in killed:
        process.kill()
    await until(lambda: all(map(ended, killed)))
    public = spawn(ask_public(hub, seen), "ask the public port")
    async with asyncio.timeout(LIMIT):
        while not seen.first_routes:
            with suppress(aiohttp.ClientError):
                seen.first_routes = targets(await hub.routes())
            await asyncio.sleep(0.01)
        await public
    return seen


async def ask_public(hub: Hub, seen: Seen) -> None:
    """Ask for what alice's server says of itself, until it has been answered for a second."""
    answered = 0
    while answered < 50:
        with suppress(aiohttp.ClientError):
            seen.statuses.add(await hub.status("/user/alice/api"))
            answered += 1
        await asyncio.sleep(0.02)


@asynccontextmanager
async def failed_polls(desk: Desk) -> AsyncIterator[list[str]]:
    """Gives a list that fills with those of JupyterLab's polls that met a closed port."""
    failed: list[str] = []

    def note(request: Request) -> None:
        if any(poll in request.url for poll in POLLS):
            failed.append(request.url)

    desk.page.on("requestfailed", note)
    yield failed
    desk.page.remove_listener("requestfailed", note)


def ended(process: psutil.Process) -> bool:
    """Say whether a process is no more than its entry in the table, which the hub removes."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def recovered_first(hub: Hub) -> bool:
    """Say whether the last proxy had recovered its routes before the hub added any."""
    log = (hub.state.parent / "hub.log").read_text().rpartition("Starting proxy @")[2]
    before, recovered, _ = log.partition("routes that the proxy before this one left")
    return bool(recovered) and "route added" not in before


def targets(routes: dict[str, Any]) -> dict[str, str]:
    return {path: data["target"] for path, data in routes.items()}
