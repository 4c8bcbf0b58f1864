"""People work in JupyterLab on a JupyterHub behind the proxy, in a real browser."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.browser import hub as hubs
from tests.browser import notebook
from tests.browser.desk import LIMIT, Desk, log_in
from tests.browser.hub import Hub
from tests.processes import lives

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(900)]

NAMES = ("alice", "bob@lab")


@pytest.fixture(scope="module", params=["http", "https"])
def hub(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    running = hubs.start(tmp_path_factory.mktemp("hub"), tls=request.param == "https")
    yield running
    running.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desks(hub: Hub, browser: Browser) -> AsyncIterator[tuple[Desk, Desk]]:
    """Two people, each in a browser context of their own, logged in and with a server running."""
    contexts = [await browser.new_context(ignore_https_errors=True) for _ in NAMES]
    for context in contexts:
        context.set_default_timeout(LIMIT * 1000)
    pages = [await context.new_page() for context in contexts]
    first, second = await asyncio.gather(*map(log_in, pages, NAMES, [hub, hub]))
    yield first, second
    for context in contexts:
        await context.close()


async def test_two_people_work_side_by_side(hub: Hub, desks: tuple[Desk, Desk]) -> None:
    alice, bob = desks
    await asyncio.gather(alice.open_notebook(), bob.open_notebook())
    await alice.type("A")
    await expect(bob.box).to_have_value(notebook.GREETING)
    await expect(bob.output).to_have_text(repr(notebook.GREETING))
    await bob.type("B")
    await expect(alice.output).to_have_text(repr("A"))
    assert {"/", *(f"/user/{name}" for name in NAMES)} <= set(await hub.routes())


async def test_a_server_stops_and_starts_from_the_control_panel(
    hub: Hub, desks: tuple[Desk, Desk]
) -> None:
    alice, bob = desks
    await asyncio.gather(alice.open_notebook(), bob.open_notebook())
    panel = await open_control_panel(alice.page)
    await panel.click("#stop")
    await expect(panel.locator("#start")).to_have_text("Start My Server")
    routes = await hub.routes()
    assert "/user/alice" not in routes
    assert "/user/bob@lab" in routes
    await bob.type("C")

    await alice.move_to(panel)
    await panel.click("#start")
    await panel.wait_for_url(f"{alice.base}lab**")
    assert "/user/alice" in await hub.routes()
    await alice.open_notebook()


async def open_control_panel(page: Page) -> Page:
    await page.get_by_role("menuitem", name="File", exact=True).click()
    async with page.expect_popup() as opened:
        await page.get_by_text("Hub Control Panel").click()
    panel = await opened.value
    # The page shows its buttons before its script listens to them.
    await panel.wait_for_function(
        "window.$ && $('#stop').length && $._data($('#stop')[0], 'events')"
    )
    return panel


async def test_a_killed_worker_is_replaced_while_people_work(
    hub: Hub, desks: tuple[Desk, Desk]
) -> None:
    alice, bob = desks
    await asyncio.gather(alice.open_notebook(), bob.open_notebook())
    before, supervisor = await hub.routes(), hub.proxy()
    (worker,) = hub.workers()
    async with alice.kernel_answers(), bob.kernel_answers():
        worker.kill()
    await asyncio.gather(alice.type("D"), bob.type("E"))
    assert hub.proxy() == supervisor
    assert worker not in hub.workers()
    assert targets(await hub.routes()) == targets(before)


async def test_the_hub_replaces_a_killed_proxy_while_people_work(
    hub: Hub, desks: tuple[Desk, Desk]
) -> None:
    alice, bob = desks
    await asyncio.gather(alice.open_notebook(), bob.open_notebook())
    before, killed = await hub.routes(), [hub.proxy(), *hub.workers()]
    async with alice.kernel_answers(), bob.kernel_answers():
        killed[0].kill()
    await asyncio.gather(alice.type("F"), bob.type("G"))
    assert targets(await hub.routes()) == targets(before)
    assert not any(map(lives, killed))


def targets(routes: dict[str, Any]) -> dict[str, str]:
    return {path: data["target"] for path, data in routes.items()}
