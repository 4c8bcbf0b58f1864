"""Connections that are made at the very moment when a data plane stops to accept."""

import asyncio
import socket
from typing import Any

import pytest

from proxy.dataplane import server
from proxy.dataplane.door import Door
from proxy.dataplane.listener import Listener
from proxy.tasks import spawn
from tests.dataplane.conftest import StartFront, StartTarget
from tests.dataplane.peers import Front, Target, hello, listening
from tests.dataplane.wire import PATIENCE, Wire, request

ASKED = request("GET", "/", "Connection: close")
# Of the event loop; the first of these it has not accepted, the last it knows all about.
TURNS = range(6)


async def turn(times: int) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


def came(front: Front) -> Wire:
    """Return a connection that the kernel has made and the event loop has not heard of."""
    return Wire(socket.create_connection(("127.0.0.1", front.port)))


def still_waits(shared: socket.socket) -> bool:
    """Say whether a connection was left to whoever accepts next, and take it."""
    try:
        shared.accept()[0].close()
    except BlockingIOError:
        return False
    return True


@pytest.fixture
async def target(start_target: StartTarget) -> Target:
    return await start_target(hello)


@pytest.mark.parametrize("turns", TURNS)
async def test_nobody_accepted_is_left_alone_by_a_retired_one(joined: Front, turns: int) -> None:
    with joined._listener.dup() as shared:
        client = came(joined)
        await turn(turns)
        retiring = spawn(joined.plane.retire(PATIENCE), "retire")
        await turn(10)
        if still_waits(shared):
            assert turns < TURNS[-1]
            assert retiring.done(), "nobody is there"
        else:
            assert not retiring.done(), "somebody is there"
            await client.send(ASKED)
            assert (await client.read_response()).body == b"hello"
        await asyncio.wait_for(retiring, PATIENCE)
        client.close()


@pytest.mark.parametrize("turns", TURNS)
async def test_who_came_before_a_drain_has_a_moment_to_ask(
    joined: Front, turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_ARRIVAL", PATIENCE)
    with joined._listener.dup() as shared:
        client = came(joined)
        await turn(turns)
        draining = spawn(joined.plane.drain(PATIENCE), "drain")
        await turn(10)
        if still_waits(shared):
            assert turns < TURNS[-1]
        else:
            assert not draining.done(), "somebody is there"
            await client.send(ASKED)
            assert (await client.read_response()).body == b"hello"
        await asyncio.wait_for(draining, PATIENCE)
        client.close()


@pytest.mark.parametrize("turns", TURNS)
async def test_who_came_before_a_drain_is_still_redirected(
    start_front: StartFront,
    server_settings: dict[str, Any],
    turns: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "_ARRIVAL", PATIENCE)
    plain = listening(socket.AF_INET, ("127.0.0.1", 0))
    front = await start_front(config={**server_settings, "redirect_to": 443}, redirect=[plain])
    with plain.dup() as shared:
        client = Wire(socket.create_connection(plain.getsockname()))
        await turn(turns)
        draining = spawn(front.plane.drain(PATIENCE), "drain")
        await turn(10)
        if still_waits(shared):
            assert turns < TURNS[-1]
            draining.cancel()
        else:
            assert not draining.done(), "somebody is there"
            await client.send(ASKED)
            assert (await client.read_response()).status == 301
            draining.cancel()  # over TLS it takes all of the time
        client.close()


async def test_a_drain_waits_for_no_idle_client(joined: Front) -> None:
    client = await joined.client()
    await asyncio.wait_for(joined.plane.drain(3600), PATIENCE)
    assert await client.ending() == "end"


@pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])
async def test_a_door_given_up_while_it_opens_stays_closed(front: Front) -> None:
    sock = listening(socket.AF_INET, ("127.0.0.1", 0))
    address = sock.getsockname()
    door = Door(sock, Listener(front.plane))
    opening = spawn(door.open(None), "open")
    await turn(1)
    door.retire()
    await opening
    await door.open(None)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
