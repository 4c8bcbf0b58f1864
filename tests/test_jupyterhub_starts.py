"""What ends a hub's start, or does not: each is one line in its log."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientResponseError

from hubgate.jupyterhub import HubgateProxy
from tests.hub_around import proxy_of_a_hub


@pytest.fixture
async def proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[HubgateProxy]:
    async with proxy_of_a_hub(tmp_path, monkeypatch) as one:
        yield one


@pytest.mark.processes
@pytest.mark.parametrize("store", ["sqlite:.", "sqlite:/proc/x.db", "sqlite:text"])
async def test_a_store_that_cannot_be_used_ends_a_start(
    proxy: HubgateProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: str, caplog: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text").write_text("routes: " * 200)
    proxy.store = store
    with pytest.raises(SystemExit):
        await proxy.start()
    assert caplog.text.count("hubgate cannot start: Proxy failed to start with exit code 1") == 1


@pytest.mark.processes
async def test_a_proxy_that_ends_with_its_ports_open_has_not_started(
    proxy: HubgateProxy, tmp_path: Path
) -> None:
    program = tmp_path / "listens.py"
    program.write_text(LISTENS_AND_ENDS)
    proxy.command = [sys.executable, str(program)]
    with pytest.raises(SystemExit):
        await proxy.start()


LISTENS_AND_ENDS = """
import argparse, socket, time
parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int)
parser.add_argument("--api-port", type=int)
known, _ = parser.parse_known_args()
ports = [socket.create_server(("127.0.0.1", port)) for port in (known.port, known.api_port)]
time.sleep(1.5)
raise SystemExit(1)
"""


class Refusing:
    """An API that answers every request with one status."""

    def __init__(self, status: int) -> None:
        self.status = status

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 {self.status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        writer.write(head.encode())
        writer.close()


@pytest.mark.parametrize(
    ("status", "data", "starting", "ends"),
    [
        (403, {}, True, True),
        (401, {"hub": True}, True, True),
        (403, {"hub": True}, False, False),
        (409, {"hub": True}, True, True),
        (409, {"hub": True}, False, False),
        (409, {"user": "alice"}, True, False),
        (404, {"hub": True}, True, False),
    ],
)
async def test_what_ends_a_hub_that_starts_and_no_other(
    proxy: HubgateProxy, status: int, data: dict[str, Any], starting: bool, ends: bool, caplog: Any
) -> None:
    proxy.app._start_future = asyncio.get_running_loop().create_future()
    if not starting:
        proxy.app._start_future.set_result(None)
    port = urlsplit(proxy.api_url).port
    async with await asyncio.start_server(Refusing(status), "127.0.0.1", port):
        with pytest.raises(SystemExit if ends else ClientResponseError):
            await proxy.add_route("/", "http://127.0.0.1:9", data)
    named = f"the proxy's API at {proxy.api_url} refuses this hub's token ({status}): give the hub"
    assert caplog.text.count(named) == (status in (401, 403))
