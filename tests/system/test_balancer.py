"""One of two hubgates behind a balancer is stopped, under traffic."""

import asyncio
import contextlib
import re
import signal
import subprocess
from collections import Counter
from pathlib import Path
from textwrap import dedent

import pytest

from hubgate.tasks import spawn
from tests.system.balancer import HAPROXY, balanced
from tests.system.served import serving
from tests.system.wrk import page_target

pytestmark = [
    pytest.mark.skipif(HAPROXY is None, reason="needs HAProxy (make test installs it)"),
    pytest.mark.timeout(180),
]

ROOT = Path(__file__).parents[2]
CLIENTS = 8
# More than the two checks that HAProxy needs, and than its connections may be idle.
DELAY = 3


async def client(port: int, keep: bool, answers: Counter[str], ended: asyncio.Event) -> None:
    """Send one request after the other, over one connection or each over its own."""
    close = "" if keep else "Connection: close\r\n"
    request = f"GET /page HTTP/1.1\r\nHost: hub.example.org\r\n{close}\r\n".encode()
    while not ended.is_set():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.closing(writer):
            while not ended.is_set():
                writer.write(request)
                try:
                    head = await reader.readuntil(b"\r\n\r\n")
                except (asyncio.IncompleteReadError, ConnectionError):
                    answers["no response"] += 1
                    break
                answers[head.split()[1].decode()] += 1
                if b"\r\nconnection: close" in head.lower():
                    break
                await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split()[0]))


async def stop_one(folder: Path, delay: int) -> tuple[Counter[str], str]:
    """Stop one of two hubgates; return what the clients were answered, and its log."""
    (folder / "one").mkdir()
    (folder / "other").mkdir()
    answers: Counter[str] = Counter()
    ended = asyncio.Event()
    flags = ("--drain-delay", str(delay))
    async with page_target() as url, contextlib.AsyncExitStack() as stack:
        one, other = [
            await asyncio.to_thread(stack.enter_context, serving(folder / name, *flags))
            for name in ("one", "other")
        ]
        for hubgate in (one, other):
            await asyncio.to_thread(hubgate.add, "/", url)
        port = await asyncio.to_thread(stack.enter_context, balanced(folder, (one, other)))
        clients = [
            spawn(client(port, number % 2 == 0, answers, ended), "client")
            for number in range(CLIENTS)
        ]
        await asyncio.sleep(1)
        one.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(one.process.wait, 60) == 0
        await asyncio.sleep(0.5)
        ended.set()
        await asyncio.gather(*clients)
        return answers, (folder / "one" / "serve.log").read_text()


async def test_no_request_fails_when_the_balancer_has_time_to_notice(tmp_path: Path) -> None:
    answers, log = await stop_one(tmp_path, DELAY)
    assert f"the public ports close in {DELAY} seconds" in log
    assert answers["200"] > 1000
    assert set(answers) == {"200"}


def test_the_documented_configuration_is_one(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    backend = re.search(r"^    backend hubgates\n(?:        .+\n)+", text, re.MULTILINE)
    assert backend
    config = tmp_path / "haproxy.cfg"
    times = "".join(f"    timeout {what} 5s\n" for what in ("connect", "client", "server"))
    front = "frontend public\n    bind 127.0.0.1:1\n    default_backend hubgates\n"
    config.write_text(f"defaults\n    mode http\n{times}{front}{dedent(backend[0])}")
    assert HAPROXY is not None
    done = subprocess.run([HAPROXY, "-c", "-f", str(config)], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


async def test_without_that_time_requests_are_refused_until_it_does(tmp_path: Path) -> None:
    answers, _ = await stop_one(tmp_path, 0)
    assert answers["200"] > 1000
    assert answers["503"] > 0
