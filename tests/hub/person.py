"""A person at a hub: logs in, starts a server, runs cells; everything through the proxy."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from yarl import URL

from tests.browser.hub import START_LIMIT
from tests.hub.running import Site

# What a browser sends along when a person follows a link; the hub looks at it.
NAVIGATE = {"Sec-Fetch-Mode": "navigate"}


class Person:
    """One logged-in user with a server at `server`, an URL that ends in /."""

    def __init__(self, session: aiohttp.ClientSession, server: str) -> None:
        self.session = session
        self.server = server

    def xsrf(self, url: str) -> str:
        """Return the cookie that a page at `url` has to send back with what it changes."""
        return self.session.cookie_jar.filter_cookies(URL(url))["_xsrf"].value

    async def log_in(self, hub: str, name: str) -> None:
        """Fill in the login form; the hub then starts the user's server."""
        form = f"{hub}/hub/login"
        async with self.session.get(form, headers=NAVIGATE) as page:
            assert page.status == 200
        data = {"username": name, "password": "any", "_xsrf": self.xsrf(form)}
        async with self.session.post(form, data=data, headers=NAVIGATE) as page:
            assert page.status == 200, await page.text()
            assert "login" not in page.url.path

    async def wait_for_server(self) -> None:
        """Visit the server until it is there and has taken the hub's word for who this is."""
        async with asyncio.timeout(START_LIMIT):
            while True:
                async with self.session.get(self.server, headers=NAVIGATE) as page:
                    if page.status == 200 and str(page.url).startswith(self.server):
                        return
                await asyncio.sleep(0.5)

    async def start_kernel(self) -> str:
        """Start a kernel and return its id."""
        headers = {"X-XSRFToken": self.xsrf(self.server)}
        async with self.session.post(f"{self.server}api/kernels", headers=headers) as answer:
            assert answer.status == 201, await answer.text()
            kernel: str = (await answer.json())["id"]
            return kernel

    async def run(self, kernel: str, code: str) -> str:
        """Run a cell over a websocket of its own; return what it printed."""
        url = f"{self.server}api/kernels/{kernel}/channels"
        async with asyncio.timeout(START_LIMIT), self.session.ws_connect(url) as channel:
            request = execute(code)
            await channel.send_str(json.dumps(request))
            return await printed(channel, request["header"]["msg_id"])


@asynccontextmanager
async def person(site: Site, name: str, server: str) -> AsyncIterator[Person]:
    """A person in front of a browser of their own, logged in, with a running server."""
    jar = aiohttp.CookieJar(unsafe=True)  # accepts cookies from a host that is an IP address
    async with aiohttp.ClientSession(connector=site.connect(), cookie_jar=jar) as session:
        one = Person(session, server)
        await one.log_in(site.url, name)
        await one.wait_for_server()
        yield one


def execute(code: str) -> dict[str, Any]:
    """Return an execute_request of the Jupyter messaging protocol."""
    header = {
        "msg_id": uuid.uuid4().hex,
        "msg_type": "execute_request",
        "session": uuid.uuid4().hex,
        "username": "",
        "version": "5.3",
    }
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
    empty: dict[str, Any] = {"parent_header": {}, "metadata": {}, "buffers": []}
    return empty | {"header": header, "content": content, "channel": "shell"}


async def printed(channel: aiohttp.ClientWebSocketResponse, request: str) -> str:
    """Return what the cell of that request prints until its kernel is idle again."""
    text = ""
    async for message in channel:
        got = message.json()
        if got["parent_header"].get("msg_id") != request:
            continue
        content = got["content"]
        if got["msg_type"] == "stream":
            text += content["text"]
        elif got["msg_type"] == "error":
            raise AssertionError("\n".join(content["traceback"]))
        elif got["msg_type"] == "status" and content["execution_state"] == "idle":
            return text
    raise AssertionError(f"the kernel's channel closed with {channel.close_code}")
