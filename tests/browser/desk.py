"""One person's browser window with JupyterLab in it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from playwright.async_api import Locator, Page, WebSocket, expect

from tests.browser import notebook
from tests.browser.hub import Hub

LIMIT = 180.0  # seconds that anything may take on a slow, busy machine


class Desk:
    """JupyterLab under `base` (an URL ending in /), and what its user does there."""

    def __init__(self, page: Page, base: str) -> None:
        self.page = page
        self.base = base

    async def move_to(self, page: Page) -> None:
        """Go on in another tab; two tabs of one JupyterLab would get in each other's way."""
        await self.page.close()
        self.page = page

    async def open_notebook(self) -> None:
        """Save the notebook on the server, open it in JupyterLab, run its cell."""
        await self.save_notebook()
        async with self.kernel_answers():
            await self.page.goto(f"{self.base}lab/tree/{notebook.NAME}?reset")
        await self.page.locator(".jp-Notebook .cm-content").first.click()
        await self.page.keyboard.press("Shift+Enter")
        await expect(self.output).to_have_text(repr(notebook.GREETING))

    async def save_notebook(self, cells: Sequence[str] = (notebook.CODE,)) -> None:
        """Put a notebook in place through the contents API, with the browser's cookies."""
        cookies = await self.page.context.cookies(self.base)
        xsrf = [cookie["value"] for cookie in cookies if cookie["name"] == "_xsrf"]
        answer = await self.page.context.request.put(
            f"{self.base}api/contents/{notebook.NAME}",
            data=notebook.document(cells),
            headers={"Content-Type": "application/json", "X-XSRFToken": xsrf[0]},
        )
        assert answer.status in (200, 201), await answer.text()

    @asynccontextmanager
    async def kernel_answers(self) -> AsyncIterator[None]:
        """Wait, after the block, for the first frame of a kernel connection it opens.

        JupyterLab shows an idle kernel before it has one; a frame from it is the proof.
        """
        answered = asyncio.Event()

        def watch(connection: WebSocket) -> None:
            if "/api/kernels/" in connection.url:
                connection.on("framereceived", lambda _: answered.set())

        self.page.on("websocket", watch)
        yield
        async with asyncio.timeout(LIMIT):
            await answered.wait()
        self.page.remove_listener("websocket", watch)

    @property
    def box(self) -> Locator:
        """The text box that interact shows."""
        return self.page.locator(".jp-OutputArea .widget-text input")

    @property
    def output(self) -> Locator:
        """What the function last returned, as the kernel printed it."""
        return self.page.locator(".jp-OutputArea .widget-output pre")

    async def type(self, text: str) -> None:
        """Put `text` into the box and wait until the kernel has answered with it."""
        await self.box.fill(text)
        await expect(self.output).to_have_text(repr(text))


async def log_in(page: Page, name: str, hub: Hub) -> Desk:
    """Log in to the hub, with no password to speak of, and wait for the server's JupyterLab."""
    await page.goto(f"{hub.url}/hub/login")
    await page.fill("#username_input", name)
    await page.fill("#password_input", "any")
    await page.click("#login_submit")
    await page.wait_for_url(f"{hub.url}/user/{name}/lab**")
    return Desk(page, f"{hub.url}/user/{name}/")
