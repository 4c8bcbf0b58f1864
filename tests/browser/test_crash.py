"""The whole proxy is killed under a person at work, at any moment: JupyterLab never says a word.

JupyterLab asks its server every ten seconds for its sessions and terminals. It says that the
server is gone when there is no answer, and when an answer is 503 or 424, which is what a hub
answers for a route that is missing. While the proxy is dead the hub keeps its port, so a poll
waits; the next proxy answers it, with all routes.

What nobody can save is a request whose connection the killed worker had accepted. If an earlier
request had been answered on it, browsers send this one again by themselves, and nothing shows.
If it was the first on a fresh connection, it fails, and if it was one of those polls, the dialog
shows: that takes a kill in the few milliseconds for which a poll is under way. So the moments
here are between polls, and mostly so shortly before one that it finds the proxy dead.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import psutil
import pytest
from playwright.async_api import Browser, Request, expect

from hubgate.tasks import spawn
from tests.browser import hub as hubs
from tests.browser.desk import LIMIT, Desk, log_in
from tests.browser.hub import Hub
from tests.control.waiting import until
from tests.processes import kill, lives

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(900)]

POLLS = ("/api/sessions?", "/api/terminals?")
INTERVAL = 10.0  # seconds between two of JupyterLab's polls
# Seconds before a poll is due: dead is the proxy for half a second and more.
MOMENTS = (0.3, 0.1, 5.0, 0.2, 0.02)


clock = time.monotonic


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    running = hubs.start(tmp_path_factory.mktemp("hub"), tls=False)
    yield running
    running.stop()


async def test_crashes_of_the_proxy_show_in_no_dialog(hub: Hub, browser: Browser) -> None:
    context = await browser.new_context()
    context.set_default_timeout(LIMIT * 1000)
    alice = await log_in(await context.new_page(), "alice", hub)
    await alice.open_notebook()
    before = await hub.routes()
    polls_meeting_nobody = 0
    for number, moment in enumerate(MOMENTS):
        async with polls(alice) as seen_polls, alice.kernel_answers():
            await alice.page.wait_for_event("requestfinished", lambda r: POLLS[0] in r.url)
            proxy = [hub.proxy(), *hub.workers()]  # not later: looking takes time as well
            await asyncio.sleep(INTERVAL - moment)
            seen = await crash(hub, proxy)
        await alice.type(f"after crash {number}")
        assert seen.statuses == {200}, "a request met a proxy without its routes"
        assert seen.first_routes == targets(before)
        assert not seen_polls.failed
        polls_meeting_nobody += seen_polls.between(seen.killed, seen.answered)
        await expect(alice.page.locator(".jp-Dialog")).to_have_count(0)
    assert polls_meeting_nobody, "no poll came while the proxy was dead: nothing was tried"
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
        self.killed = self.answered = 0.0


async def crash(hub: Hub, killed: list[psutil.Process]) -> Seen:
    """End the supervisor and every worker with SIGKILL; return what was seen of the next."""
    seen = Seen()
    seen.killed = clock()
    kill(killed)
    await until(lambda: not any(map(lives, killed)))
    public = spawn(ask_public(hub, seen), "ask the public port")
    async with asyncio.timeout(LIMIT):
        while not seen.first_routes:
            with suppress(aiohttp.ClientError):
                seen.first_routes = targets(await hub.routes())
            await asyncio.sleep(0.01)
        await public
    return seen


async def ask_public(hub: Hub, seen: Seen) -> None:
    """Ask for what alice's server says of itself, until it has been answered for a second.

    Not one of these may be refused or broken off.
    """
    for _ in range(50):
        seen.statuses.add(await hub.status("/user/alice/api"))
        seen.answered = seen.answered or clock()
        await asyncio.sleep(0.02)


@dataclass
class Polls:
    """When JupyterLab's polls were sent, and those that failed."""

    sent: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def between(self, begin: float, end: float) -> int:
        """Return how many were sent in that time."""
        return sum(begin < moment < end for moment in self.sent)

    def on_request(self, request: Request) -> None:
        if any(poll in request.url for poll in POLLS):
            self.sent.append(clock())

    def on_failed(self, request: Request) -> None:
        refused = "REFUSED" in (request.failure or "")
        if refused or any(poll in request.url for poll in POLLS):
            self.failed.append(f"{request.url}: {request.failure}")


@asynccontextmanager
async def polls(desk: Desk) -> AsyncIterator[Polls]:
    """Watch JupyterLab's polls, and whatever else is refused."""
    seen = Polls()
    desk.page.on("request", seen.on_request)
    desk.page.on("requestfailed", seen.on_failed)
    yield seen
    desk.page.remove_listener("request", seen.on_request)
    desk.page.remove_listener("requestfailed", seen.on_failed)


def recovered_first(hub: Hub) -> bool:
    """Say whether the last proxy had recovered its routes before the hub added any."""
    log = (hub.state.parent / "hub.log").read_text().rpartition("Starting proxy @")[2]
    before, recovered, _ = log.partition("routes left by the previous proxy")
    return bool(recovered) and "route added" not in before


def targets(routes: dict[str, Any]) -> dict[str, str]:
    return {path: data["target"] for path, data in routes.items()}
