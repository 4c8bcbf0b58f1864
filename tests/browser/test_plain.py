"""Two plain JupyterLab servers behind one hubgate, routed with proxyctl alone."""

from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import Browser

from tests.browser import plain
from tests.browser.desk import LIMIT, Desk
from tests.browser.plain import TOKEN, Gate

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(900)]


async def test_plain_servers_come_and_go(browser: Browser, tmp_path: Path) -> None:
    with (
        plain.gate(tmp_path) as gate,
        plain.lab(tmp_path, "one") as one_url,
        plain.lab(tmp_path, "two") as two_url,
    ):
        gate.ctl("add", "/one", one_url)
        one = await sit_down(browser, gate, "one")
        gate.ctl("add", "/two", two_url)
        two = await sit_down(browser, gate, "two")
        await one.type("A")
        await two.type("B")

        gate.ctl("remove", "/two")
        assert await status(f"{gate.url}/two/api") == 404
        assert await status(f"{gate.url}/one/api") == 200
        await one.type("C")
        for desk in (one, two):
            await desk.page.context.close()


async def sit_down(browser: Browser, gate: Gate, name: str) -> Desk:
    context = await browser.new_context()
    context.set_default_timeout(LIMIT * 1000)
    page = await context.new_page()
    await page.goto(f"{gate.url}/{name}/lab?token={TOKEN}")
    desk = Desk(page, f"{gate.url}/{name}/")
    await desk.open_notebook()
    return desk


async def status(url: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status
