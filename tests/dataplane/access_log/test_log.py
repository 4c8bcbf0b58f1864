"""Every request leaves one line, whoever answers it."""

import asyncio
import socket
from typing import Any

import pytest

from hubgate.model import Limits, Timeouts
from tests.dataplane.access_log.access_lines import LogText, has, lines, only
from tests.dataplane.conftest import StartFront, StartTarget
from tests.dataplane.forwarding.exchanges import CHUNKED, UNTIL_CLOSE
from tests.dataplane.peers import ANSWER, Front, Target, echo, exchange, url_of
from tests.dataplane.wire import chunked, request, response

GET = request("GET", "/")


@pytest.fixture
async def front(start_front: StartFront, logged: dict[str, Any]) -> Front:
    """A data plane that logs."""
    return await start_front(config=logged)


# --- answers -----------------------------------------------------------------------------------


async def test_an_answered_request(joined: Front, target: Target, log_text: LogText) -> None:
    sent = request(
        "POST", "/a/b?token=x", "User-Agent: me", "Referer: http://hub/?y", body=b"12345"
    )
    client = await joined.client()
    await client.send(sent)
    wire = await target.accept()
    await wire.read_request()
    await wire.send(response(201, body=b"hello"))
    await client.read_response()
    client.close()
    line = await only(joined, log_text)
    assert has(
        line,
        peer="127.0.0.1",
        forwarded_for=None,
        method="POST",
        host="hub",
        path="/a/b",
        protocol="HTTP/1.1",
        referer="http://hub/",
        user_agent="me",
        upgrade=None,
        status=201,
        bytes_out=5,
        bytes_in=5,
        route="/",
        target=target.url,
        error=None,
    )
    assert 0 < line["duration_ms"] < 20_000


@pytest.mark.parametrize("answer", [CHUNKED, UNTIL_CLOSE], ids=["chunked", "until close"])
async def test_bytes_are_those_of_the_bodies(
    joined: Front, target: Target, log_text: LogText, answer: bytes
) -> None:
    client = await joined.client()
    await client.send(request("PUT", "/", "Transfer-Encoding: chunked") + chunked(b"abc", b"defg"))
    wire = await target.accept()
    await wire.read_request()
    await wire.send(answer)
    wire.close()
    assert (await client.read_response()).body == b"hello"
    client.close()
    assert has(await only(joined, log_text), bytes_in=7, bytes_out=5, status=200)


async def test_a_large_body_is_counted_whole(
    joined: Front, target: Target, log_text: LogText
) -> None:
    size = 3 << 20
    client = await joined.client()
    await client.send(GET)
    wire = await target.accept()
    await wire.read_request()
    async with asyncio.TaskGroup() as group:
        group.create_task(wire.send(response(200, body=bytes(size))))
        assert len((await client.read_response()).body) == size
    client.close()
    assert has(await only(joined, log_text), bytes_out=size)


async def test_no_body_for_head(joined: Front, target: Target, log_text: LogText) -> None:
    client = await joined.client()
    await client.send(request("HEAD", "/"))
    wire = await target.accept()
    await wire.read_request()
    await wire.send(response(200, "Content-Length: 500", body=None))
    await client.read_response(to="HEAD")
    client.close()
    assert has(await only(joined, log_text), method="HEAD", status=200, bytes_out=0)


async def test_each_of_many_on_one_connection(
    front: Front, start_target: StartTarget, log_text: LogText
) -> None:
    front.route("/", (await start_target(echo)).url)
    client = await front.client()
    await client.send(b"".join(request("GET", f"/{number}") for number in range(300)))
    for _ in range(300):
        await client.read_response()
    client.close()
    found = await lines(front, log_text, 300)
    assert [line["path"] for line in found] == [f"/{number}" for number in range(300)]


async def test_a_retried_request_is_one(joined: Front, target: Target, log_text: LogText) -> None:
    await exchange(joined, target, GET)
    client = await joined.client()
    # It goes out on the connection that was kept, which ends instead of answering.
    await client.send(request("GET", "/again"))
    (wire,) = target.wires
    await wire.read_request()
    wire.close()
    wire = await target.accept()
    await wire.read_request()
    await wire.send(ANSWER)
    await client.read_response()
    client.close()
    found = await lines(joined, log_text, 2)
    assert [line["path"] for line in found] == ["/", "/again"]


# --- answers of our own ------------------------------------------------------------------------


async def test_no_route(front: Front, log_text: LogText) -> None:
    answer = await front.ask("GET", "/none?token=x")
    line = await only(front, log_text)
    assert has(line, status=404, path="/none", route=None, target=None, error="no route")
    assert line["bytes_out"] == len(answer.body)


async def test_no_route_for_head(front: Front, log_text: LogText) -> None:
    await front.ask("HEAD", "/none")
    assert has(await only(front, log_text), status=404, bytes_out=0)


async def test_the_health_page(front: Front, log_text: LogText) -> None:
    await front.ask("GET", "/_chp_healthz")
    assert has(await only(front, log_text), status=200, bytes_out=16, error=None)


async def test_a_target_that_refuses(
    start_front: StartFront, refusing: socket.socket, log_text: LogText, logged: dict[str, Any]
) -> None:
    front = await start_front(timeouts=Timeouts(ready=0), config=logged)
    url = url_of(refusing)
    front.route("/", url)
    await front.ask("GET", "/")
    line = await only(front, log_text)
    assert has(line, status=503, route="/", target=url)
    assert line["error"].startswith(f"cannot connect to {url}")


@pytest.mark.parametrize(
    ("sent", "status", "known"),
    [
        (b"nonsense\r\n\r\n", 400, None),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, None),
        (request("PUT", "/big", "Content-Length: 5000"), 413, "/big"),
        (request("TRACE", "/trace"), 405, "/trace"),
        (request("PUT", "/big", "Transfer-Encoding: chunked") + chunked(bytes(5000)), 413, "/big"),
        (request("PUT", "/bad", "Transfer-Encoding: chunked") + b"5\r\nhelloX", 400, "/bad"),
    ],
)
async def test_refused_requests(
    start_front: StartFront,
    target: Target,
    log_text: LogText,
    logged: dict[str, Any],
    sent: bytes,
    status: int,
    known: str | None,
) -> None:
    front = await start_front(limits=Limits(body=1000), config=logged)
    front.route("/", target.url)
    client = await front.client()
    await client.send(sent)
    assert (await client.read_response()).status == status
    client.close()
    line = await only(front, log_text)
    assert has(line, status=status, path=known)
    assert line["error"]


async def test_a_head_that_does_not_come(
    start_front: StartFront, log_text: LogText, logged: dict[str, Any]
) -> None:
    front = await start_front(timeouts=Timeouts(head=0.1), config=logged)
    client = await front.client()
    await client.send(GET[:-2])
    assert (await client.read_response()).status == 408
    client.close()
    assert has(await only(front, log_text), status=408, method=None)


async def test_one_connection_too_many(
    start_front: StartFront, target: Target, log_text: LogText, logged: dict[str, Any]
) -> None:
    front = await start_front(limits=Limits(connections=1), config=logged)
    front.route("/", target.url)
    first = await front.client()
    await first.send(request("GET", "/"))  # or it would make room
    await target.accept()
    second = await front.client()
    assert (await second.read_response()).status == 503
    first.close()
    second.close()
    refused, _ = await lines(front, log_text, 2)
    assert has(refused, status=503, method=None, peer="127.0.0.1")


async def test_a_page_of_the_error_target(
    start_front: StartFront, target: Target, log_text: LogText, logged: dict[str, Any]
) -> None:
    front = await start_front(config=logged, error_target=target.url)
    client = await front.client()
    await client.send(request("GET", "/none"))
    wire = await target.accept()
    await wire.read_request()
    await wire.send(response(200, body=b"<html>sorry</html>"))
    await client.read_response()
    client.close()
    assert has(await only(front, log_text), status=404, bytes_out=18, error="no route")


# --- on whose behalf ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trusted", "shown"), [(("127.0.0.0/8",), "192.0.2.1, 10.0.0.1"), (("10.0.0.0/8",), None)]
)
@pytest.mark.parametrize("route", ["/", "/other"])
async def test_only_trusted_peers_are_quoted(
    start_front: StartFront,
    start_target: StartTarget,
    log_text: LogText,
    logged: dict[str, Any],
    trusted: tuple[str, ...],
    shown: str | None,
    route: str,
) -> None:
    front = await start_front(config=logged, trusted_peers=trusted)
    front.route(route, (await start_target(echo)).url)
    lines = ["X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: 10.0.0.1"]
    await front.ask("GET", "/", *lines)
    assert has(await only(front, log_text), peer="127.0.0.1", forwarded_for=shown)
