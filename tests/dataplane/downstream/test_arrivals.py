"""Connections that are made at the very moment when a data plane stops to accept."""

import asyncio
import socket
from collections.abc import Coroutine
from typing import Any

import pytest

from hubgate.dataplane import plane as plane_module
from hubgate.dataplane.downstream.acceptor import Acceptor
from hubgate.dataplane.downstream.server import DownstreamServer
from hubgate.model import TcpKeepalive
from hubgate.tasks import spawn
from tests.dataplane.conftest import StartFront, StartTarget
from tests.dataplane.peers import Front, Target, hello, listening
from tests.dataplane.wire import PATIENCE, Message, Wire, request

ASKED = request("GET", "/", "Connection: close")
# Of the event loop; the first of these it has not accepted, the last it knows all about.
TURNS = range(6)


async def turn(times: int) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


def still_waits(shared: socket.socket) -> bool:
    """Say whether a connection was left to whoever accepts next, and take it."""
    try:
        shared.accept()[0].close()
    except BlockingIOError:
        return False
    return True


async def answer_to_one_who_came(
    sock: socket.socket, turns: int, ending: Coroutine[Any, Any, None]
) -> tuple[asyncio.Task[None], Message | None]:
    """Connect to `sock`, and ask when so many turns later `ending` has begun.

    Returns the task of `ending`, not done when somebody was accepted, and what was answered; None
    when the connection was left to whoever listens next.
    """
    with sock.dup() as shared:
        # The kernel has made it, and the event loop has not heard of it.
        client = Wire(socket.create_connection(sock.getsockname()))
        await turn(turns)
        task = spawn(ending, "ending")
        await turn(10)
        if still_waits(shared):
            assert turns < TURNS[-1]
            answer = None
        else:
            assert not task.done(), "somebody is there"
            await client.send(ASKED)
            answer = await client.read_response()
        client.close()
    return task, answer


@pytest.fixture
async def target(start_target: StartTarget) -> Target:
    return await start_target(hello)


@pytest.mark.parametrize("turns", TURNS)
async def test_nobody_accepted_is_left_alone_by_a_retired_one(joined: Front, turns: int) -> None:
    ending = joined.plane.retire(PATIENCE)
    retiring, answer = await answer_to_one_who_came(joined._listener, turns, ending)
    if answer is None:
        assert retiring.done(), "nobody is there"
    else:
        assert answer.body == b"hello"
    await asyncio.wait_for(retiring, PATIENCE)


@pytest.mark.parametrize("turns", TURNS)
async def test_who_came_before_a_drain_has_a_moment_to_ask(
    joined: Front, turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plane_module, "_ARRIVAL", PATIENCE)
    ending = joined.plane.drain(PATIENCE)
    draining, answer = await answer_to_one_who_came(joined._listener, turns, ending)
    assert answer is None or answer.body == b"hello"
    await asyncio.wait_for(draining, PATIENCE)


@pytest.mark.parametrize("turns", TURNS)
async def test_who_came_before_a_drain_is_still_redirected(
    start_front: StartFront,
    server_settings: dict[str, Any],
    turns: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(plane_module, "_ARRIVAL", PATIENCE)
    plain = listening(socket.AF_INET, ("127.0.0.1", 0))
    front = await start_front(config={**server_settings, "redirect_to": 443}, redirect=[plain])
    draining, answer = await answer_to_one_who_came(plain, turns, front.plane.drain(PATIENCE))
    assert answer is None or answer.status == 301
    draining.cancel()  # over TLS it takes all of the time


async def test_a_drain_waits_for_no_idle_client(joined: Front) -> None:
    client = await joined.client()
    await asyncio.wait_for(joined.plane.drain(3600), PATIENCE)
    assert await client.ending() == "end"


@pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])
async def test_a_door_given_up_while_it_opens_stays_closed(front: Front) -> None:
    sock = listening(socket.AF_INET, ("127.0.0.1", 0))
    address = sock.getsockname()
    acceptor = Acceptor(sock, DownstreamServer(front.plane))
    opening = spawn(acceptor.open(None, TcpKeepalive()), "open")
    await turn(1)
    acceptor.retire()
    await opening
    await acceptor.open(None, TcpKeepalive())
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
