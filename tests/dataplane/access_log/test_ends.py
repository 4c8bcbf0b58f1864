"""Requests without a whole answer leave one line too, and tunnels when they are closed."""

import asyncio
import json
import ssl
import threading
import time
from typing import Any

import pytest

from hubgate.dataplane.access_log.file import LogFile
from hubgate.dataplane.access_log.log import AccessLog
from hubgate.dataplane.access_log.record import Record
from hubgate.model import AccessLogConfig as Config
from hubgate.model import Timeouts
from hubgate.tasks import spawn
from tests.dataplane.access_log.access_lines import LogText, has, lines, only
from tests.dataplane.conftest import StartFront
from tests.dataplane.peers import ANSWER, Front, Target
from tests.dataplane.tunnels.tunnels import HELLO, RAW, opened
from tests.dataplane.wire import request, response
from tests.frames import TEXT, frame

GET = request("GET", "/")


@pytest.fixture
async def front(start_front: StartFront, logged: dict[str, Any]) -> Front:
    """A data plane that logs."""
    return await start_front(config=logged)


# --- ends that are none ------------------------------------------------------------------------


async def test_a_client_that_does_not_wait(
    joined: Front, target: Target, log_text: LogText
) -> None:
    client = await joined.client()
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    client.close()
    line = await only(joined, log_text)
    assert has(line, status=499, bytes_out=0, target=target.url)
    assert line["error"] == "the client's connection ended before the response did"


async def test_a_client_that_leaves_in_the_middle(
    joined: Front, target: Target, log_text: LogText
) -> None:
    client = await joined.client()
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    await wire.send(response(200, "Content-Length: 10", body=None) + b"hello")
    await client.read_head()
    client.reset()
    line = await only(joined, log_text)
    assert has(line, status=200, bytes_out=5)
    assert line["error"]


async def test_a_client_that_leaves_while_an_error_page_is_fetched(
    start_front: StartFront, target: Target, log_text: LogText, logged: dict[str, Any]
) -> None:
    front = await start_front(config=logged, error_target=target.url)
    client = await front.client()
    await client.send(GET)
    await (await target.accept()).read_request()
    client.close()
    assert has(await only(front, log_text), status=499, bytes_out=0)


async def test_a_target_that_breaks_off(joined: Front, target: Target, log_text: LogText) -> None:
    client = await joined.client()
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    await wire.send(response(200, "Content-Length: 10", body=None) + b"hello")
    wire.close()
    await client.drain()
    line = await only(joined, log_text)
    assert has(line, status=200, bytes_out=5)
    assert "closed" in line["error"]


async def test_a_target_that_says_nothing(
    start_front: StartFront, target: Target, log_text: LogText, logged: dict[str, Any]
) -> None:
    front = await start_front(timeouts=Timeouts(response=0.1), config=logged)
    front.route("/", target.url)
    assert (await front.ask("GET", "/")).status == 503
    line = await only(front, log_text)
    assert has(line, status=503)
    assert "sent nothing for too long" in line["error"]


async def test_a_connection_that_is_dropped(
    start_front: StartFront, target: Target, log_text: LogText, logged: dict[str, Any]
) -> None:
    front = await start_front(timeouts=Timeouts(request=0.1), config=logged)
    front.route("/", target.url)
    client = await front.client()
    await client.send(GET)
    await client.drain()
    line = await only(front, log_text)
    assert has(line, status=499)
    assert "no data moved on the client's connection" in line["error"]


async def test_what_is_cut_off_by_the_end(joined: Front, target: Target, log_text: LogText) -> None:
    waiting, reading = [await joined.client() for _ in range(2)]
    await waiting.send(request("GET", "/slow"))
    await (await target.accept()).read_request()
    await reading.send(request("GET", "/half"))
    wire = await target.accept()
    await wire.read_request()
    await wire.send(response(200, "Content-Length: 10", body=None) + b"half")
    await reading.read_until(b"half")
    await joined.plane.drain(0.1)
    lines = [json.loads(text) for text in log_text.read().splitlines()]
    slow, half = sorted(lines, key=lambda line: str(line["path"]), reverse=True)
    ours = "hubgate ended before the response did"
    assert has(slow, path="/slow", status=503, error=ours)
    assert has(half, path="/half", status=200, bytes_out=4, error=ours)


async def test_what_ends_while_draining(joined: Front, target: Target, log_text: LogText) -> None:
    client = await joined.client()
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    async with asyncio.TaskGroup() as group:
        group.create_task(joined.plane.drain(20))
        await wire.send(ANSWER)
        await client.read_response()
    (line,) = log_text.read().splitlines()
    assert has(json.loads(line), status=200, bytes_out=5)


# --- tunnels -----------------------------------------------------------------------------------


async def test_a_tunnel_is_logged_at_its_end(
    joined: Front, target: Target, log_text: LogText
) -> None:
    client, wire = await opened(joined, target)
    await client.send(HELLO * 3)
    await wire.read_exactly(len(HELLO) * 3)
    await wire.send(frame(TEXT, b"hi"))
    await client.read_exactly(4)
    joined.plane.access_log.flush()
    await joined.plane.access_log.settle()
    assert log_text.read() == ""
    client.close()
    wire.close()
    line = await only(joined, log_text)
    assert has(
        line,
        method="GET",
        path="/ws",
        upgrade="websocket",
        status=101,
        bytes_in=len(HELLO) * 3,
        bytes_out=4,
        route="/",
        target=target.url,
        error=None,
    )


async def test_bytes_that_came_with_the_heads_count(
    joined: Front, target: Target, log_text: LogText
) -> None:
    client = await joined.client()
    await client.send(request("GET", "/ws", *RAW) + b"early")
    wire = await target.accept()
    await wire.read_request()
    head = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
    await wire.send(head + b"at once")
    await client.read_head()
    assert await wire.read_exactly(5) == b"early"
    assert await client.read_exactly(7) == b"at once"
    client.close()
    wire.close()
    assert has(await only(joined, log_text), status=101, bytes_in=5, bytes_out=7, upgrade="tcp")


async def test_an_upgrade_that_is_refused(joined: Front, target: Target, log_text: LogText) -> None:
    client = await joined.client()
    await client.send(request("GET", "/ws", *RAW))
    wire = await target.accept()
    await wire.read_request()
    await wire.send(response(403, body=b"no"))
    await client.read_response()
    client.close()
    assert has(await only(joined, log_text), status=403, upgrade="tcp", bytes_out=2)


async def test_a_switch_that_nobody_asked_for(
    joined: Front, target: Target, log_text: LogText
) -> None:
    client = await joined.client()
    await client.send(request("GET", "/ws", *RAW))
    wire = await target.accept()
    await wire.read_request()
    await wire.send(b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n")
    assert (await client.read_response()).status == 503
    client.close()
    line = await only(joined, log_text)
    assert has(line, status=503)
    assert "not requested" in line["error"]


async def test_tunnels_closed_by_the_end(joined: Front, target: Target, log_text: LogText) -> None:
    pairs = [await opened(joined, target) for _ in range(3)]
    await joined.plane.drain(0.1)
    found = [json.loads(line) for line in log_text.read().splitlines()]
    assert [line["status"] for line in found] == [101] * 3
    for client, wire in pairs:
        client.close()
        wire.close()


async def test_over_tls(
    start_front: StartFront,
    target: Target,
    log_text: LogText,
    logged: dict[str, Any],
    server_settings: dict[str, Any],
    client_tls: ssl.SSLContext,
) -> None:
    front = await start_front(config=logged | server_settings)
    front.route("/", target.url)
    client, wire = await opened(front, target, client=await front.tls_client(client_tls))
    await client.send(HELLO)
    await wire.read_exactly(len(HELLO))
    client.close()
    wire.close()
    other = await front.tls_client(client_tls)
    await other.send(GET)
    await (await target.accept()).read_request()
    other.close()
    found = await lines(front, log_text, 2)
    assert [line["status"] for line in found] == [101, 499]
    assert found[0]["bytes_in"] == len(HELLO)


@pytest.mark.usefixtures("patient_log")
async def test_nobody_who_closes_it_returns_before_the_last_line_is_written(
    log_text: LogText, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that ends after an upgrade may be told to end once more."""
    freed, write = threading.Event(), LogFile._write

    def slowly(file: LogFile, block: bytes) -> None:
        freed.wait(30)
        write(file, block)

    monkeypatch.setattr(LogFile, "_write", slowly)
    log = AccessLog()
    log.configure(Config(str(log_text.path), "json"))
    last = Record(time.monotonic())
    last.head = last.forwarded = last.entry = None
    last.peer, last.status = "192.0.2.7", 200
    log.add(last)
    closing = [spawn(log.close(), "close") for _ in range(2)]
    await asyncio.sleep(0.1)
    assert not any(task.done() for task in closing)

    freed.set()
    await closing[1]
    assert log_text.read().count("\n") == 1
    await closing[0]
