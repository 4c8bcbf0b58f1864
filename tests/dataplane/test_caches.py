"""Every cache is bounded by what it holds, whatever strangers and targets put into it."""

import gc
import sys
from pathlib import Path
from typing import Any

import pytest

from hubgate.dataplane.access_log.lines import FORMATS
from hubgate.dataplane.access_log.record import Record
from hubgate.dataplane.forwarding import own_responses
from hubgate.dataplane.forwarding.own_responses import Page
from hubgate.http1.fast_path import HeaderBlock
from hubgate.http1.request import RequestHead
from hubgate.model import WorkerConfig
from tests.dataplane.conftest import StartFront, StartTarget
from tests.dataplane.peers import Front, Target, answering, hello, until
from tests.dataplane.wire import Wire, request, response

MIB = 1 << 20
ROUTES = 32
_COUNTED = (bytes, str, tuple, list, dict, float, HeaderBlock, RequestHead, Page)


def held(root: object) -> int:
    """Return the bytes of an object and of all it refers to; routes and the like are not its."""
    seen: set[int] = set()
    waiting, total = [root], 0
    while waiting:
        each = waiting.pop()
        if id(each) not in seen and isinstance(each, _COUNTED):
            seen.add(id(each))
            total += sys.getsizeof(each)
            waiting.extend(gc.get_referents(each))
    return total


async def ask(client: Wire, *lines: str, path: str = "/") -> int:
    await client.send(request("GET", path, *lines))
    return (await client.read_response()).status


def client_of(front: Front) -> Any:
    (client,) = front.plane._listener.clients
    return client


async def test_header_lines_and_what_was_written_from_them(
    start_front: StartFront, start_target: StartTarget
) -> None:
    """Each client's lines are known for each of 32 routes, and there are many clients."""
    target, front = await start_target(hello), await start_front()
    for number in range(ROUTES):
        front.route(f"/{number}", target.url)
    blocks = front.plane.header_blocks
    most = 0
    for number in range(60):
        lines = f"Cookie: {number}", f"X: {'x' * 3000}", *(f"Y{at}: y" for at in range(50))
        for _ in range(2):
            client = await front.client()
            assert await ask(client, *lines, path="/0") == 200
            client.close()
        client = await front.client()
        for route in range(ROUTES):
            assert await ask(client, *lines, path=f"/{route}") == 200
        client.close()
        most = max(most, held(blocks._known))
    assert MIB < most < 4 * MIB
    assert sum(block.held for block in blocks._known.values()) <= blocks._known.held


async def test_what_was_written_from_one_clients_lines(
    start_front: StartFront, start_target: StartTarget
) -> None:
    target, front = await start_target(hello), await start_front()
    for number in range(ROUTES):
        front.route(f"/{number}", target.url)
    client = await front.client()
    for route in range(ROUTES):
        assert await ask(client, f"X: {'x' * 7000}", path=f"/{route}") == 200
    block = client_of(front)._reader._block
    assert block.heads
    assert held(block.heads) < 1 << 15


async def test_a_connection_forgets_a_long_host(joined: Front, target: Target) -> None:
    client = await joined.client()
    await client.send(b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n" % (b"h" * 50_000))
    wire = await target.accept()
    assert (await wire.read_request()).get("x-forwarded-host") == "h" * 50_000
    await wire.send(response(200, body=b""))
    assert (await client.read_response()).status == 200
    kept = client_of(joined)
    assert held([kept.forwarded_host, kept.forwarded_lines]) < 1 << 10


async def test_which_page_a_client_gets(front: Front) -> None:
    client = await front.client()
    for number in range(40):
        assert await ask(client, f"X: {number:0>60000}") == 404
    assert held(own_responses._pages) < MIB


async def test_pages_from_a_folder(start_front: StartFront, tmp_path: Path) -> None:
    (tmp_path / "404.html").write_bytes(b"x" * 150_000)
    front = await start_front(error_path=str(tmp_path))
    client = await front.client()
    for _ in range(20):
        assert await ask(client) == 404
    assert held(own_responses._responses) < MIB


async def test_pages_from_an_error_target(
    start_front: StartFront, start_target: StartTarget
) -> None:
    pages = await start_target(answering(*[response(200, body=b"x" * 500_000)] * 30))
    front = await start_front(error_target=pages.url)
    client = await front.client()
    for number in range(30):
        assert await ask(client, path=f"/{number:0>40000}") == 404
    assert MIB < held(front.plane.error_pages._kept) < 5 * MIB


async def test_matches(front: Front) -> None:
    front.route("/", "http://127.0.0.1:1")
    for number in range(5000):
        head = RequestHead(b"GET", b"/%0220d" % number, http10=False)
        front.plane.matcher.match(head, front.plane.limits)
    assert held(front.plane.matcher._known) < 2 * MIB


@pytest.mark.parametrize("kind", FORMATS)
def test_what_stands_in_the_access_log(kind: str) -> None:
    lines = FORMATS[kind]()
    for number in range(3000):
        of = RequestHead(b"GET", b"/%0250d" % number, http10=False)
        # Control bytes are written as several each.
        of._lines = [b"Referer: %d" % number + b"\x01" * 240, b"User-Agent: %07000d" % number]
        of.host = b"%0250d" % number
        record = Record(0.0)
        record.ended, record.head, record.peer, record.entry = 0.0, of, "192.0.2.7", None
        record.status, record.sent, record.forwarded = 200, 0, None
        lines.line(record, 0.0)
    kept = [held(value) for value in vars(lines).values() if isinstance(value, dict)]
    assert max(kept) < MIB


async def test_an_idle_connection_to_a_target(joined: Front, target: Target) -> None:
    client = await joined.client()
    for body in (b"", None):  # a head that goes out as it came, and one that is parsed
        await client.send(request("GET", "/"))
        wire = target.wires[0] if target.wires else await target.accept()
        await wire.read_request()
        length = () if body is None else ("Content-Length: 0",)
        lines = [f"X: {'x' * 200_000}", *(length or ("Transfer-Encoding: chunked",))]
        end = b"0\r\n\r\n" if body is None else b""
        await wire.send(response(200, *lines, body=None) + end)
        assert len((await client.read_response()).get("x") or "") == 200_000
        (idle,) = joined.plane.pool._idle.values()
        await until(lambda: idle, "the connection is idle")  # noqa: B023
        slots = [getattr(idle[0], name, None) for name in ("_known", "_head", "_headers")]
        assert sum(held(getattr(each, "raw", each)) for each in slots) < 1 << 12


async def test_a_reload_with_the_same_limits_begins_no_second_cache(front: Front) -> None:
    before = front.plane.header_blocks
    await front.plane.reconfigure(WorkerConfig(limits=front.plane.limits, log_level="debug"))
    assert front.plane.header_blocks is before
