"""Each limit: its status, and that others are served on."""

import asyncio
from typing import Any

import pytest

from hubgate.dataplane.downstream import server
from hubgate.dataplane.forwarding.time_limits import Expired
from hubgate.model import Limits, Timeouts
from hubgate.tasks import spawn
from tests.dataplane.conftest import StartFront, StartTarget
from tests.dataplane.peers import Front, Target, hello, until, watch_of
from tests.dataplane.wire import request, response


@pytest.mark.real_time
async def test_a_head_that_does_not_end_in_time_is_408(start_front: StartFront) -> None:
    front = await start_front(timeouts=Timeouts(head=0.3))
    wire = await front.client()
    await wire.send(b"GET / HTTP/1.1\r\nHost: h\r\nX-Slow: ")
    answer = await wire.read_response()
    assert (answer.status, answer.get("Connection")) == (408, "close")
    assert await wire.read_rest() == b""


@pytest.mark.real_time
async def test_bytes_that_trickle_do_not_extend_the_time_of_a_head(start_front: StartFront) -> None:
    front = await start_front(timeouts=Timeouts(head=0.5))
    wire = await front.client()
    answer = asyncio.ensure_future(wire.read_response())  # noqa: TID251 - awaited below
    for byte in b"GET / HTTP/1.1\r\nHost: h\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa":
        if answer.done():
            break
        await wire.send(bytes([byte]))
        await asyncio.sleep(0.05)
    assert answer.done(), "it comes before the bytes end"
    assert (await answer).status == 408


@pytest.mark.real_time
async def test_a_second_head_has_its_time_too(start_front: StartFront) -> None:
    front = await start_front(timeouts=Timeouts(head=0.3))
    wire = await front.client()
    await wire.send(request("GET", "/_chp_healthz"))
    assert (await wire.read_response()).status == 200
    await wire.send(b"GET")
    assert (await wire.read_response()).status == 408


@pytest.mark.real_time
async def test_an_idle_connection_is_closed_without_a_word(start_front: StartFront) -> None:
    front = await start_front(timeouts=Timeouts(keep_alive=0.3))
    wire = await front.client()
    await wire.send(request("GET", "/_chp_healthz"))
    assert (await wire.read_response()).status == 200
    assert await wire.read_rest() == b""


@pytest.mark.real_time
async def test_a_body_that_stops_coming_is_408(
    start_front: StartFront, start_target: StartTarget
) -> None:
    target = await start_target()
    front = await start_front(timeouts=Timeouts(body=0.3))
    front.route("/", target.url)
    wire = await front.client()
    await wire.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nsome")
    behind = await target.accept()
    assert (await wire.read_response()).status == 408
    assert (await behind.read_rest()).endswith(b"some")


@pytest.mark.real_time
async def test_a_body_that_a_slow_target_holds_up_is_not_the_clients_fault(
    start_front: StartFront, start_target: StartTarget
) -> None:
    target = await start_target()
    front = await start_front()
    front.route("/", target.url)
    size = 32 << 20
    wire = await front.client()
    await wire.send(request("POST", "/", f"Content-Length: {size}"))

    async def upload() -> None:
        block = bytes(1 << 20)
        for _ in range(size // len(block)):
            await wire.send(block)

    async with asyncio.TaskGroup() as group:
        group.create_task(upload())
        behind = await target.accept()
        await behind.read_head()
        (client,) = front.plane._listener.clients
        stream: Any = client._stream
        unsent = stream._connection.transport.get_write_buffer_size
        before = -1
        while before != unsent() or not client._hold:
            before = unsent()
            await asyncio.sleep(0.2)
        for _ in range(4):  # nothing can move, and the limit passes several times
            client.deadline = 0.0
            await until(lambda: client.deadline, "it was looked at")
        assert len(await behind.read_exactly(size)) == size
        await behind.send(response(200, body=b"all"))
    assert (await wire.read_response()).body == b"all"


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_body_over_the_limit_is_413(
    start_front: StartFront, start_target: StartTarget, framing: str
) -> None:
    target = await start_target(hello)
    front = await start_front(limits=Limits(body=1000))
    front.route("/", target.url)
    wire = await front.client()
    if framing == "length":
        await wire.send(request("POST", "/", "Content-Length: 1001"))
    else:
        chunk = b"%x\r\n%b\r\n" % (600, bytes(600))
        await wire.send(request("POST", "/", "Transfer-Encoding: chunked") + chunk + chunk)
    assert (await wire.read_response()).status == 413
    assert (await front.ask("POST", "/", body=bytes(1000))).status == 200


async def test_more_header_lines_than_allowed_are_431(start_front: StartFront) -> None:
    front = await start_front(limits=Limits(headers=20))
    many = [f"X-{number}: 1" for number in range(25)]
    assert (await front.ask("GET", "/", *many)).status == 431


async def test_one_connection_too_many_is_503_and_makes_room_again(
    start_front: StartFront, target: Target
) -> None:
    front = await start_front(limits=Limits(connections=2))
    front.route("/", target.url)
    first, second = await front.client(), await front.client()
    for client in (first, second):
        await client.send(request("GET", "/"))
        await target.accept()
    third = await front.client()
    answer = await third.read_response()
    assert (answer.status, answer.get("Retry-After")) == (503, "1")
    first.close()
    third.close()
    await until(lambda: front.plane.admission.open == 1, "one connection")
    assert (await front.ask("GET", "/_chp_healthz")).status == 200


async def test_a_full_port_closes_those_that_asked_nothing_then_those_idle_longest(
    start_front: StartFront, start_target: StartTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "NEW", 0.0)
    front = await start_front(limits=Limits(connections=3))
    front.route("/", (await start_target(hello)).url)
    used = [await front.client(), await front.client()]
    for client in (*used, used[0]):
        await client.send(request("GET", "/"))
        await client.read_response()
        await asyncio.sleep(0.01)  # the loop's clock counts milliseconds
    silent = await front.client()
    await until(lambda: front.open == 3, "it is full")
    for gone in (silent, used[1], used[0]):
        newest = await front.client()
        assert await gone.ending() in ("end", "reset")
        await newest.send(request("GET", "/"))
        assert (await newest.read_response()).status == 200


async def test_a_full_port_closes_idle_ones_before_those_that_have_just_come(
    start_front: StartFront, start_target: StartTarget
) -> None:
    front = await start_front(limits=Limits(connections=3))
    front.route("/", (await start_target(hello)).url)
    used = await front.client()
    await used.send(request("GET", "/"))
    await used.read_response()
    new = [await front.client() for _ in range(3)]
    assert await used.ending() in ("end", "reset")
    for client in new:
        await client.send(request("GET", "/_chp_healthz"))
        assert (await client.read_response()).status == 200


async def test_connections_of_one_address_are_counted(start_front: StartFront) -> None:
    front = await start_front(limits=Limits(address_connections=1))
    await front.client()
    await until(lambda: front.plane.admission.open == 1, "one connection")
    assert (await (await front.client()).read_response()).status == 503


async def test_requests_in_flight_on_one_route_leave_others_alone(
    start_front: StartFront, start_target: StartTarget
) -> None:
    busy, free = await start_target(), await start_target(hello)
    front = await start_front(limits=Limits(route_requests=1))
    front.route("/busy", busy.url)
    front.route("/free", free.url)
    waiting = await front.client()
    await waiting.send(request("GET", "/busy"))
    behind = await busy.accept()
    refused = await front.ask("GET", "/busy")
    assert (refused.status, refused.get("Retry-After")) == (503, "1")
    assert (await front.ask("GET", "/free")).status == 200
    await behind.read_request()
    await behind.send(response(200))
    assert (await waiting.read_response()).status == 200
    again = await front.client()
    await again.send(request("GET", "/busy"))
    await behind.read_request()
    await behind.send(response(200))
    assert (await again.read_response()).status == 200


UPGRADE = ("Connection: Upgrade", "Upgrade: websocket")


async def test_tunnels_of_one_route_are_counted_until_they_close(
    start_front: StartFront, start_target: StartTarget
) -> None:
    target = await start_target()
    front = await start_front(limits=Limits(route_tunnels=1))
    front.route("/", target.url)
    first, behind = await open_tunnel(front, target)
    assert (await front.ask("GET", "/", *UPGRADE)).status == 503
    first.close()
    assert await behind.read_rest() == b""
    behind.close()
    await until(lambda: not front.plane.tunnels, "no tunnel")
    await open_tunnel(front, target)


async def open_tunnel(front: Front, target: Target) -> tuple[object, object]:
    wire = await front.client()
    await wire.send(request("GET", "/", *UPGRADE))
    behind = await target.accept()
    await behind.read_head()
    await behind.send(b"HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert (await wire.read_head()).status == 101
    return wire, behind


async def test_a_silent_target_is_503_after_the_response_time(
    start_front: StartFront, start_target: StartTarget
) -> None:
    target = await start_target()
    front = await start_front(timeouts=Timeouts(response=0.3))
    front.route("/", target.url)
    assert (await front.ask("GET", "/")).status == 503


async def test_a_target_that_keeps_sending_is_still_bound_by_the_total_time(
    start_front: StartFront, start_target: StartTarget, caplog: pytest.LogCaptureFixture
) -> None:
    target = await start_target()
    front = await start_front(timeouts=Timeouts(total=60, response=30))
    front.route("/", target.url)
    wire = await front.client()
    await wire.send(request("GET", "/"))
    behind = await target.accept()
    await behind.read_request()
    await behind.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    await wire.read_head()
    watch = watch_of(front)
    watch._started -= 60
    await behind.send(b"x")
    assert await wire.read_exactly(1) == b"x"
    watch._fire()

    assert await wire.ending() == "end"
    assert Expired.TOTAL.value in caplog.text


async def test_who_makes_room_loses_nothing_of_its_answer(
    start_front: StartFront, target: Target
) -> None:
    size = 3 << 20
    front = await start_front(limits=Limits(connections=1))
    front.route("/", target.url)
    slow = await front.client(receive_buffer=65536)
    await slow.send(request("GET", "/"))
    wire = await target.accept()
    await wire.read_request()
    (first,) = front.plane._listener.clients
    answering = spawn(wire.send(response(200, body=b"x" * size)), "answer")
    got = await slow.read_exactly(65536)
    while first.state.value != "idle":
        got += await slow.read(8192)
    await answering

    other = await front.client()
    await other.send(request("GET", "/_chp_healthz"))
    assert (await other.read_response()).status == 200
    got += await slow.read_rest()
    assert len(got.partition(b"\r\n\r\n")[2]) == size


async def test_nor_does_one_that_is_idle_and_has_not_read_all_of_it(
    start_front: StartFront,
) -> None:
    front = await start_front(limits=Limits(connections=1))
    slow = await front.client(receive_buffer=65536)
    await slow.send(request("GET", "/_chp_healthz"))
    await slow.read_response()
    (first,) = front.plane._listener.clients
    first.transport.write(bytes(16 << 20))
    assert first.state.value == "idle"
    assert first.transport.get_write_buffer_size()

    newcomer = await front.client()
    assert (await newcomer.read_response()).status == 503
    assert len(await slow.read_exactly(16 << 20)) == 16 << 20
