"""Two people work in JupyterLab on three hubgates behind HAProxy, while one after the other fails.

Hub, HAProxy, hubgates, Redis and its sentinels have the settings of docs/high-availability.md.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.browser.counting import CountingDesk
from tests.browser.desk import LIMIT
from tests.control.waiting import until
from tests.hub import running
from tests.hub.person import person
from tests.hub.running import Site
from tests.replicated.hub import culler, documented_hub, site
from tests.replicated.machines import BALANCER, HUBGATES, Machines, machines, needs_parts

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(900),
    needs_parts,
]

# Seconds after which the culler ends a server; JupyterLab asks its own every ten.
IDLE = 25


def start_all(three: Machines) -> None:
    three.start_store()
    for number in HUBGATES:
        three.start_hubgate(number)
    three.wait_for_hubgates()
    three.start_balancer()


@asynccontextmanager
async def counting(browser: Browser, at: Site, name: str) -> AsyncIterator[CountingDesk]:
    """Somebody who logs in, and whose kernel counts."""
    context = await browser.new_context(ignore_https_errors=True)
    context.set_default_timeout(LIMIT * 1000)
    try:
        page = await context.new_page()
        await page.goto(f"{at.url}/hub/login")
        await page.fill("#username_input", name)
        await page.fill("#password_input", "any")
        await page.click("#login_submit")
        await page.wait_for_url(f"{at.url}/user/{name}/lab**")
        one = CountingDesk(page, f"{at.url}/user/{name}/")
        await one.start_counting()
        yield one
    finally:
        await context.close()


async def idle(at: Site, name: str) -> None:
    """Have somebody log in, start a server and leave."""
    async with person(at, name, f"{at.url}/user/{name}/"):
        pass


async def work_on(desks: list[CountingDesk]) -> None:
    await asyncio.gather(*(one.goes_on() for one in desks))


async def nobody_notices(three: Machines, desks: list[CountingDesk]) -> None:
    """Upgrade a hubgate and restart Redis: no connection ends, no request fails."""
    sockets = [each for one in desks for each in one.open_sockets]
    assert len(sockets) >= len(desks)
    for number in {three.server_of(one.kernel_socket.url) for one in desks}:
        await asyncio.to_thread(three.upgrade, number)
        await work_on(desks)
    three.stop(f"redis-{await asyncio.to_thread(three.master)}")
    await work_on(desks)
    stopped = await asyncio.to_thread(three.master)
    await asyncio.to_thread(three.start_redis, stopped)
    added = "/after-redis"
    await asyncio.to_thread(
        three.changes, BALANCER, "POST", added, {"target": "http://127.0.0.1:1"}
    )
    for number in HUBGATES:
        assert added in await asyncio.to_thread(three.ask, number, "GET")
    await work_on(desks)
    assert not [each.url for each in sockets if each.is_closed()]
    assert not [each for one in desks for each in one.failed]


async def only_its_connections_end(three: Machines, desks: list[CountingDesk]) -> None:
    """Kill the hubgate that the first one's kernel is behind."""
    sockets = [each for one in desks for each in one.open_sockets]
    places = {each: three.server_of(each.url) for each in sockets}
    killed = three.server_of(desks[0].kernel_socket.url)
    its_own = {each for each, place in places.items() if place == killed}
    three.kill_hubgate(killed)
    await until(lambda: all(each.is_closed() for each in its_own), LIMIT)
    await work_on(desks)
    assert {each for each in sockets if each.is_closed()} == its_own
    assert three.server_of(desks[0].kernel_socket.url) != killed
    three.start_hubgate(killed)
    three.wait_for_hubgates(killed)


async def test_people_work_on_whatever_fails(tmp_path: Path, browser: Browser) -> None:
    with machines(tmp_path) as three:
        await asyncio.to_thread(start_all, three)
        at = site(three)
        async with documented_hub(three, culler(IDLE)) as folder, AsyncExitStack() as stack:
            await idle(at, "carol")
            entering = (counting(browser, at, name) for name in ("alice", "bob"))
            desks = [await stack.enter_async_context(each) for each in entering]
            at_work = asyncio.get_running_loop().time()
            before = [await one.told() for one in desks]
            await nobody_notices(three, desks)
            await only_its_connections_end(three, desks)
            for one in desks:
                await one.reload()
            after = [await one.told() for one in desks]
            # The same kernels, and they have gone on counting.
            assert [process for process, _ in after] == [process for process, _ in before]
            assert all(now > then for (_, now), (_, then) in zip(after, before, strict=True))
            await until(lambda: "carol" in culled(folder), LIMIT)
            for number in HUBGATES:
                routes = await asyncio.to_thread(three.ask, number, "GET")
                assert {"/", "/user/alice", "/user/bob"} <= set(routes)
            # The culler has looked at those who work when they had been there for long enough.
            await asyncio.sleep(at_work + IDLE + 5 - asyncio.get_running_loop().time())
            assert culled(folder) == {"carol"}
            for log in map(three.log, (f"proxy-{number}" for number in HUBGATES)):
                assert "another hubgate has the name" not in log
                assert "it came back with less" not in log
                assert "Traceback" not in log


def culled(folder: Path) -> set[str]:
    """Return whose servers the culler has ended."""
    return set(re.findall(r"Culling server (\w+)", running.read_log(folder)))
