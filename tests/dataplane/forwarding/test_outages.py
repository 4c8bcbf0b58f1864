"""Targets that are down, come back, or are not up yet."""

import asyncio
import socket
import time

import pytest

from hubgate.model import Timeouts
from tests.dataplane.conftest import StartFront, StartTarget
from tests.dataplane.peers import answering, hello, url_of
from tests.dataplane.wire import request, response


@pytest.mark.parametrize("lines", [(), ("Connection: Upgrade", "Upgrade: websocket")])
async def test_a_target_that_is_just_starting_is_waited_for(
    start_front: StartFront,
    start_target: StartTarget,
    lines: tuple[str, ...],
    refusing: socket.socket,
) -> None:
    front = await start_front(timeouts=Timeouts(ready=15.0))
    front.route("/", url_of(refusing))
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(front.ask("GET", "/", *lines))
        await asyncio.sleep(0.3)
        await start_target(hello, sock=refusing)
    assert asked.result().status == 200


async def test_an_unsafe_request_is_answered_at_once(
    start_front: StartFront, refusing: socket.socket
) -> None:
    front = await start_front(timeouts=Timeouts(ready=60.0))
    front.route("/", url_of(refusing))
    begun = time.monotonic()
    assert (await front.ask("POST", "/", body=b"x")).status == 503
    assert time.monotonic() - begun < 30


async def test_many_who_wait_share_one_poll(
    start_front: StartFront, start_target: StartTarget, refusing: socket.socket
) -> None:
    front = await start_front(timeouts=Timeouts(ready=15.0))
    front.route("/", url_of(refusing))
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(front.ask("GET", "/")) for _ in range(20)]
        await asyncio.sleep(0.3)
        await start_target(hello, sock=refusing)
    assert {task.result().status for task in asked} == {200}


async def test_a_dead_target_is_not_asked_again_and_again(
    start_front: StartFront, start_target: StartTarget, refusing: socket.socket
) -> None:
    front = await start_front(timeouts=Timeouts(ready=0, down=30.0))
    front.route("/", url_of(refusing))
    assert [(await front.ask("GET", "/")).status for _ in range(5)] == [503] * 5
    target = await start_target(hello, sock=refusing)
    assert (await front.ask("GET", "/")).status == 503
    assert target.accepted == 0


@pytest.mark.real_time
async def test_a_target_that_is_back_is_found_after_the_pause(
    start_front: StartFront, start_target: StartTarget, refusing: socket.socket
) -> None:
    front = await start_front(timeouts=Timeouts(ready=0, down=0.3))
    front.route("/", url_of(refusing))
    assert [(await front.ask("GET", "/")).status for _ in range(5)] == [503] * 5
    await start_target(hello, sock=refusing)
    await asyncio.sleep(0.5)
    assert (await front.ask("GET", "/")).status == 200


async def test_one_reload_of_a_page_finds_a_target_that_just_came_back(
    start_front: StartFront, start_target: StartTarget, refusing: socket.socket
) -> None:
    front = await start_front(timeouts=Timeouts(ready=0, down=60.0))
    front.route("/", url_of(refusing))
    assert (await front.ask("GET", "/")).status == 503
    await start_target(hello, sock=refusing)
    assert (await front.ask("GET", "/")).status == 200


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/json", "application/json"),
        ("text/html,application/json", "text/html; charset=utf-8"),
        ("*/*", "text/html; charset=utf-8"),
    ],
)
async def test_a_503_says_when_to_come_back_in_the_clients_form(
    start_front: StartFront, accept: str, kind: str, refusing: socket.socket
) -> None:
    front = await start_front(timeouts=Timeouts(ready=0))
    front.route("/", url_of(refusing))
    answer = await front.ask("GET", "/", f"Accept: {accept}")
    assert (answer.status, answer.get("Retry-After")) == (503, "1")
    assert answer.get("Content-Type") == kind


async def test_a_storm_writes_one_line_a_second(
    start_front: StartFront, caplog: pytest.LogCaptureFixture, refusing: socket.socket
) -> None:
    front = await start_front(timeouts=Timeouts(ready=0))
    front.route("/", url_of(refusing))
    begun = time.monotonic()
    for _ in range(50):
        assert (await front.ask("GET", "/?token=secret")).status == 503
    lines = [record.getMessage() for record in caplog.records if record.name == "hubgate"]
    assert 1 <= len(lines) <= 2 + (time.monotonic() - begun)
    assert not any("secret" in line for line in lines)


@pytest.mark.parametrize("lines", [(), ("Connection: close",)])
async def test_a_storm_is_not_passed_on_to_the_error_target(
    start_front: StartFront,
    start_target: StartTarget,
    lines: tuple[str, ...],
    refusing: socket.socket,
) -> None:
    pages = await start_target(answering(response(200, body=b"our page")))
    front = await start_front(timeouts=Timeouts(ready=0, down=60.0), error_target=pages.url)
    front.route("/", url_of(refusing))
    begun = time.monotonic()
    for _ in range(50):
        answer = await front.ask("GET", "/", *lines)
        assert (answer.status, answer.body) == (503, b"our page")
    asked = pages.accepted
    assert 1 <= asked <= 2 + (time.monotonic() - begun)  # once a second


async def test_a_storm_without_a_route_is_not_passed_on_either(
    start_front: StartFront, start_target: StartTarget
) -> None:
    # Each answer ends its connection, so that connections count what was asked.
    pages = await start_target(answering(response(200, "Connection: close", body=b"our page")))
    front = await start_front(error_target=pages.url)
    begun = time.monotonic()
    client = await front.client()
    for _ in range(50):
        await client.send(request("GET", "/none"))
        assert (await client.read_response()).body == b"our page"
    assert pages.accepted <= 2 + (time.monotonic() - begun)


async def test_an_error_target_that_is_down_is_asked_and_told_of_once_a_second(
    start_front: StartFront, caplog: pytest.LogCaptureFixture, refusing: socket.socket
) -> None:
    front = await start_front(error_target=url_of(refusing))
    begun = time.monotonic()
    client = await front.client()
    for number in range(50):
        await client.send(request("GET", f"/none/{number}"))
        assert (await client.read_response()).status == 404
    told = [each for each in caplog.records if "custom error page" in each.getMessage()]
    assert 1 <= len(told) <= 2 + (time.monotonic() - begun)
