"""Pages of other sites in a real browser, and an API that needs no token: they get nowhere."""

import http.client
import http.server
import json
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

from tests.browser.conftest import ARGUMENTS, chromium
from tests.browser.desk import LIMIT
from tests.browser.plain import PROXYCTL, running
from tests.contract.ports import distinct_ports
from tests.environment import clean_environment

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(900)]

KEPT = {"target": "http://127.0.0.1:9"}
COMMANDS = {
    "serve": (PROXYCTL, "serve", "--api-open"),
    "drop-in": (sys.executable, "-P", "-m", "hubgate.cli.chp", "--ip", "127.0.0.1"),
}

# What a page can send without asking the browser's user, and whether a response came back.
ATTACKS = """async (api) => {
  const body = '{"target": "http://127.0.0.1:9"}';
  const send = async (path, options) => {
    try { return (await fetch(api + path, options)).type; } catch { return 'failed'; }
  };
  await new Promise((sent) => {
    const form = document.createElement('form'), field = document.createElement('input');
    const frame = document.createElement('iframe');
    Object.assign(frame, {name: 'sink'});
    Object.assign(form, {method: 'post', action: api + '/api/routes/form', target: 'sink'});
    form.enctype = 'text/plain';
    Object.assign(field, {name: '{"target": "http://127.0.0.1:9", "x": "', value: '"}'});
    form.append(field);
    document.body.append(frame, form);
    form.submit();
    frame.onload = sent;
  });
  await new Promise((sent) => {
    const picture = new Image();
    picture.onload = picture.onerror = sent;
    picture.src = api + '/api/routes';
  });
  const blind = {method: 'POST', mode: 'no-cors'};
  return [
    await send('/api/routes/text', {...blind, headers: {'Content-Type': 'text/plain'}, body}),
    await send('/api/upgrade', blind),
    await send('/api/reload', blind),
    await send('/api/routes', {}),
    await send('/api/routes/kept', {method: 'DELETE'}),
    await send('/api/routes/json', {
      method: 'POST', headers: {'Content-Type': 'application/json'}, body}),
  ];
}"""

STATUS = """async ([path, options]) => (await fetch(path, options)).status"""


@dataclass(frozen=True)
class Target:
    """A hubgate whose API needs no token."""

    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(self, method: str, path: str, data: object = None) -> Any:
        """Call the API as a hub does: without what a browser sends."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, None if data is None else json.dumps(data))
            answer = connection.getresponse()
            assert answer.status in (200, 201)
            return json.loads(answer.read() or b"null")
        finally:
            connection.close()

    def routes(self) -> list[str]:
        return sorted(self.call("GET", "/api/routes"))


@pytest.fixture(params=COMMANDS)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Target]:
    port, api_port = distinct_ports(2)
    (tmp_path / "routes.yaml").write_text("routes: {}\n")
    ports = ("--port", str(port), "--api-port", str(api_port))
    command = [*COMMANDS[request.param], *ports]
    with running(command, tmp_path, clean_environment(), api_port):
        target = Target(api_port, tmp_path / "server.log")
        target.call("POST", "/api/routes/kept", KEPT)
        yield target


@contextmanager
def evil_site() -> Iterator[int]:
    """Serve an empty page to whoever asks; gives the port."""

    class Site(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = b"<!doctype html><title>evil</title><body></body>"
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join(30)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rebound() -> AsyncIterator[Browser]:
    """A Chromium for which the DNS server of evil.example names this machine."""
    rule = "--host-resolver-rules=MAP evil.example 127.0.0.1"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium(), args=[*ARGUMENTS, rule], timeout=LIMIT * 1000
        )
        yield browser
        await browser.close()


async def opened(browser: Browser, url: str) -> Page:
    context = await browser.new_context()
    context.set_default_timeout(LIMIT * 1000)
    page = await context.new_page()
    await page.goto(url)
    return page


@pytest.mark.parametrize("host", ["evil.localhost", "127.0.0.1"])
async def test_a_page_of_another_site_changes_and_reads_nothing(
    rebound: Browser, target: Target, host: str
) -> None:
    with evil_site() as port:
        page = await opened(rebound, f"http://{host}:{port}/")
        found = await page.evaluate(ATTACKS, target.url)
        assert found == ["opaque"] * 3 + ["failed"] * 3
        await page.context.close()
    assert target.routes() == ["/kept"]
    said = target.log.read_text()
    assert "403 POST /api/routes/" in said
    assert "a page of another site, " in said
    assert "upgrading" not in said
    assert "reloaded" not in said


async def test_a_rebound_name_reads_and_changes_nothing(rebound: Browser, target: Target) -> None:
    page = await opened(rebound, f"http://evil.example:{target.port}/")
    json_body = {"headers": {"Content-Type": "application/json"}, "body": json.dumps(KEPT)}
    for path, options in (
        ("/api/routes", {}),
        ("/api/routes/new", {"method": "POST", **json_body}),
        ("/api/routes/kept", {"method": "DELETE"}),
        ("/api/upgrade", {"method": "POST"}),
    ):
        assert await page.evaluate(STATUS, [path, options]) == 403
    await page.context.close()
    assert target.routes() == ["/kept"]
    assert "upgrading" not in target.log.read_text()


async def test_a_page_of_the_apis_own_may_do_all(rebound: Browser, target: Target) -> None:
    page = await opened(rebound, f"{target.url}/")
    async with page.expect_navigation() as navigation:
        await page.get_by_role("link", name="/api/routes").click()
    answer = await (await navigation.value).json()  # type: ignore[union-attr]
    assert sorted(answer) == ["/kept"]
    json_body = {"headers": {"Content-Type": "application/json"}, "body": json.dumps(KEPT)}
    sent = ["/api/routes/new", {"method": "POST", **json_body}]
    assert await page.evaluate(STATUS, sent) == 201
    assert await page.evaluate(STATUS, ["/api/routes/kept", {"method": "DELETE"}]) == 204
    sent = ["/api/routes/x", {"method": "POST", "body": json.dumps(KEPT)}]
    assert await page.evaluate(STATUS, sent) == 415
    await page.context.close()
    assert target.routes() == ["/new"]
