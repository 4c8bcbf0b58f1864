"""A notebook whose kernel counts, and shows it: on an open page the number goes up by itself."""

from playwright.async_api import Page, Request, Response, WebSocket, expect

from tests.browser import notebook
from tests.browser.desk import LIMIT, Desk

COUNT = """\
import asyncio, os
from IPython.display import display
number = 0
shown = display(number, display_id=True)
async def count():
    global number
    while True:
        number += 1
        shown.update(number)
        await asyncio.sleep(0.3)
counting = asyncio.get_running_loop().create_task(count())
"""
TELL = "print(os.getpid(), number)"


class CountingDesk(Desk):
    """JupyterLab with that notebook, and the websockets that its page has opened."""

    def __init__(self, page: Page, base: str) -> None:
        super().__init__(page, base)
        self.sockets: list[WebSocket] = []
        self.failed: list[str] = []
        page.on("websocket", self._on_socket)
        page.on("response", self._on_response)
        page.on("requestfailed", self._on_failed)

    def _on_socket(self, socket: WebSocket) -> None:
        self.sockets.append(socket)

    def _on_response(self, response: Response) -> None:
        if response.status >= 500:
            self.failed.append(f"{response.status} {response.url}")

    def _on_failed(self, request: Request) -> None:
        # A page that is left aborts what it has asked for.
        if "ABORTED" not in (request.failure or ""):
            self.failed.append(f"{request.failure} {request.url}")

    @property
    def open_sockets(self) -> list[WebSocket]:
        """Those that are still open."""
        return [each for each in self.sockets if not each.is_closed()]

    @property
    def kernel_socket(self) -> WebSocket:
        """The open one that leads to the kernel."""
        (one,) = [each for each in self.open_sockets if "/api/kernels/" in each.url]
        return one

    async def start_counting(self) -> None:
        """Open the notebook and run its first cell."""
        await self.save_notebook([COUNT, TELL])
        await self._open()
        await self._run(0)
        await self.goes_on()

    async def reload(self) -> None:
        """Load the page anew."""
        await self._open()

    async def goes_on(self) -> None:
        """Wait until the page has shown two numbers more."""
        cell = self.page.locator(".jp-Notebook .jp-Cell").nth(0)
        number = cell.locator(".jp-OutputArea-output pre")
        for _ in range(2):
            await expect(number).not_to_have_text(await number.inner_text())

    async def told(self) -> tuple[int, int]:
        """Run the second cell; return the kernel's process and its number."""
        output = self.page.locator(".jp-Notebook .jp-Cell").nth(1).locator(".jp-OutputArea pre")
        before = await output.all_inner_texts()
        await self._run(1)
        if before:
            await expect(output).not_to_have_text(before[0])
        process, number = (await output.inner_text()).split()
        return int(process), int(number)

    async def _open(self) -> None:
        async with self.kernel_answers():
            address = f"{self.base}lab/tree/{notebook.NAME}?reset"
            await self.page.goto(address, wait_until="commit")
            self.sockets.clear()  # nobody is told of the end of those of the page before

    async def _run(self, cell: int) -> None:
        await self.page.locator(".jp-Notebook .cm-content").nth(cell).click(timeout=LIMIT * 1000)
        await self.page.keyboard.press("Control+Enter")
