"""Whoever has much to do waits for its turn, and the loop has others' callbacks in between."""

import asyncio
from functools import partial

import pytest

from hubgate.transport import turns as turns_module
from hubgate.transport.turns import Turns

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(turns_module, "perf_counter", lambda: now[0])
    return now


async def test_each_is_served_once_in_order() -> None:
    served: list[int] = []
    turns = Turns(asyncio.get_running_loop())
    for number in range(5):
        turns.wait(lambda number=number: served.append(number))
    assert not served
    await asyncio.sleep(0)
    assert served == [0, 1, 2, 3, 4]
    await asyncio.sleep(0.01)
    assert len(served) == 5


async def test_who_waits_already_has_one_turn() -> None:
    served: list[str] = []
    turns = Turns(asyncio.get_running_loop())
    once = partial(served.append, "once")
    for _ in range(3):
        turns.wait(once)
    assert turns.waits(once)
    await asyncio.sleep(0.01)
    assert served == ["once"]
    assert not turns.waits(once)


async def test_a_long_queue_is_served_in_several_turns_of_the_loop(clock: list[float]) -> None:
    loop, served = asyncio.get_running_loop(), list[str]()
    turns = Turns(loop)

    def take() -> None:
        clock[0] += 0.4 * turns_module._TOGETHER
        served.append("greedy")

    for _ in range(7):
        turns.wait(partial(take))

    def other() -> None:
        served.append("other")
        if served.count("greedy") < 7:
            loop.call_soon(other)

    loop.call_soon(other)
    await asyncio.sleep(0.05)
    assert served[:8] == ["greedy"] * 3 + ["other"] + ["greedy"] * 3 + ["other"]


async def test_who_queues_again_is_last(clock: list[float]) -> None:
    served: list[str] = []
    turns = Turns(asyncio.get_running_loop())

    def again() -> None:
        served.append("again")
        if len(served) < 6:
            turns.wait(again)

    turns.wait(again)
    turns.wait(lambda: served.append("once"))
    await asyncio.sleep(0.05)
    assert served == ["again", "once", "again", "again", "again", "again"]


async def test_a_failure_takes_nobody_elses_turn() -> None:
    loop, told, served = asyncio.get_running_loop(), list[object](), list[str]()
    loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
    turns = Turns(loop)
    turns.wait(lambda: {}["missing"])
    turns.wait(lambda: served.append("next"))
    await asyncio.sleep(0.02)
    loop.set_exception_handler(None)
    assert [type(each) for each in told] == [KeyError]
    assert served == ["next"]
