"""Looking names up: none waits for another, what is remembered, and what is bounded."""

import _thread
import asyncio
import re
import socket
from typing import Any

import pytest

from hubgate.errors import ConnectError, NameLookupError
from hubgate.tasks import spawn
from hubgate.upstream import resolver as resolver_module
from hubgate.upstream.resolver import (
    LOOPBACK,
    Addresses,
    HostAddress,
    Resolver,
    is_literal,
    system_addresses,
)
from tests.dataplane.peers import until
from tests.upstream.lookups import Lookups, v4

SHORT, LONG = 0.05, 20.0


async def failure(resolver: Resolver, host: str, limit: float = LONG) -> str:
    """Look `host` up in vain and return why."""
    with pytest.raises(NameLookupError) as caught:
        await resolver.look_up(host, limit)
    return str(caught.value)


def asking(resolver: Resolver, host: str) -> "asyncio.Task[Addresses | str]":
    """Begin to look `host` up; what comes of it is the addresses or why there are none."""

    async def outcome() -> Addresses | str:
        try:
            return await resolver.look_up(host, LONG)
        except NameLookupError as error:
            return str(error)

    return spawn(outcome(), "look up")


async def test_a_name_that_nobody_answers_for_holds_up_no_other(
    resolver: Resolver, lookups: Lookups
) -> None:
    lookups.silent = {f"dead{n}" for n in range(40)}
    waiting = [asking(resolver, name) for name in sorted(lookups.silent)]
    assert await resolver.look_up("live", LONG) == v4("127.0.0.1")
    assert not any(task.done() for task in waiting)
    lookups.wake()
    await asyncio.gather(*waiting)


async def test_one_lookup_for_all_who_ask(resolver: Resolver, lookups: Lookups) -> None:
    lookups.silent = {"hub"}
    waiting = [asking(resolver, "hub") for _ in range(20)]
    await until(lambda: lookups.asked["hub"], "it is looked up")
    waiting[0].cancel()
    await asyncio.sleep(0)
    lookups.wake()
    assert [*await asyncio.gather(*waiting[1:])] == [v4("127.0.0.1")] * 19
    assert lookups.asked["hub"] == 1


async def test_the_time_is_over_for_all_until_the_lookup_ends(
    resolver: Resolver, lookups: Lookups
) -> None:
    lookups.silent = {"hub"}
    line = await failure(resolver, "hub", SHORT)
    assert line == "the name 'hub' could not be looked up within 0.05 s"
    assert await failure(resolver, "hub", SHORT) == line
    await until(lambda: lookups.asked["hub"], "its thread runs")
    assert lookups.asked["hub"] == 1
    lookups.wake()
    await until(lambda: resolver.recall("hub"), "its late answer is of use")


async def test_a_failure_says_why_and_for_how_long_it_was_waited_for(
    resolver: Resolver, lookups: Lookups
) -> None:
    for name in ("hub", "slow"):
        lookups.answers[name] = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    reason = "could not be looked up: Name or service not known"
    line = await failure(resolver, "hub")
    assert line.startswith(f"the name 'hub' {reason}")
    assert "after 0.0 s" not in line
    lookups.silent = {"slow"}
    asyncio.get_running_loop().call_later(0.2, lookups.wake)
    line = await failure(resolver, "slow")
    assert re.fullmatch(rf"the name 'slow' {reason} \(after \d+\.[2-9] s\)", line)
    assert issubclass(NameLookupError, ConnectError)
    assert NameLookupError.status == 503


@pytest.mark.parametrize("answer", [(), UnicodeError("label too long"), ZeroDivisionError()])
async def test_whatever_comes_out_ends_a_lookup(
    resolver: Resolver, lookups: Lookups, answer: Any
) -> None:
    lookups.answers["hub"] = answer
    assert await failure(resolver, "hub")
    assert "0 being looked up" in repr(resolver)


# --- what is remembered ------------------------------------------------------------------------


def remembered_for(monkeypatch: pytest.MonkeyPatch, answer: float, failure: float) -> None:
    monkeypatch.setattr(resolver_module, "_ANSWER_KEPT", answer)
    monkeypatch.setattr(resolver_module, "_FAILURE_KEPT", failure)


async def test_an_answer_is_remembered(
    resolver: Resolver, lookups: Lookups, monkeypatch: pytest.MonkeyPatch
) -> None:
    remembered_for(monkeypatch, LONG, 0)
    assert resolver.recall("hub") is None
    found = await resolver.look_up("hub", LONG)
    assert resolver.recall("hub") == found
    resolver.forget("hub")
    assert resolver.recall("hub") is None


async def test_an_answer_is_remembered_for_a_while_only(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    remembered_for(monkeypatch, 0, LONG)
    await resolver.look_up("hub", LONG)
    await until(lambda: resolver.recall("hub") is None, "it is forgotten")


async def test_a_failure_is_remembered_for_a_moment(
    resolver: Resolver, lookups: Lookups, monkeypatch: pytest.MonkeyPatch
) -> None:
    remembered_for(monkeypatch, 0, 0.2)
    lookups.answers["hub"] = OSError("broken")
    line = await failure(resolver, "hub")
    with pytest.raises(NameLookupError, match="broken") as caught:
        resolver.recall("hub")
    assert str(caught.value) == line
    await asyncio.sleep(0.25)
    assert resolver.recall("hub") is None


async def test_the_address_that_worked_stays_first(resolver: Resolver, lookups: Lookups) -> None:
    first, second, third = v4("127.0.0.1", "127.0.0.2", "127.0.0.3")
    lookups.answers["hub"] = (first, second, third)
    await resolver.look_up("hub", LONG)
    resolver.prefer("hub", second)
    assert resolver.recall("hub") == (second, first, third)
    lookups.answers["hub"] = (third, second)
    assert await resolver.look_up("hub", LONG) == (second, third)
    lookups.answers["hub"] = (third, first)
    assert await resolver.look_up("hub", LONG) == (third, first)
    lookups.answers["hub"] = (third, second)
    assert await resolver.look_up("hub", LONG) == (third, second)


# --- bounds ------------------------------------------------------------------------------------


async def test_what_is_remembered_is_bounded(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver_module, "_MOST_NAMES", 8)
    for n in range(20):
        await resolver.look_up(f"name{n}", LONG)
        assert len(resolver._known) <= 8


async def test_threads_are_bounded(
    resolver: Resolver, lookups: Lookups, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver_module, "_MOST_LOOKUPS", 3)
    lookups.silent = {f"dead{n}" for n in range(10)}
    waiting = [asking(resolver, f"dead{n}") for n in range(10)]
    await until(lambda: lookups.most == 3, "the bound is reached")
    lookups.wake()
    await asyncio.gather(*waiting)
    assert lookups.most == 3
    assert "0 being looked up" in repr(resolver)


async def test_the_names_that_wait_are_bounded(
    resolver: Resolver, lookups: Lookups, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver_module, "_MOST_NAMES", 4)
    lookups.silent = {f"dead{n}" for n in range(4)}
    waiting = [asking(resolver, name) for name in sorted(lookups.silent)]
    await asyncio.sleep(0)
    assert "4 others are waiting" in await failure(resolver, "one-more")
    lookups.wake()
    await asyncio.gather(*waiting)


async def test_what_nobody_waits_for_any_more_does_not_begin(
    resolver: Resolver, lookups: Lookups, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver_module, "_MOST_LOOKUPS", 1)
    lookups.silent = {"dead"}
    first = asking(resolver, "dead")
    await until(lambda: lookups.asked["dead"], "the only thread is in use")
    for _ in range(3):
        await failure(resolver, "late", SHORT)
    assert "1 being looked up" in repr(resolver)
    second = asking(resolver, "late")
    await asyncio.sleep(0)
    lookups.wake()
    await asyncio.gather(first, second)
    assert lookups.asked["late"] == 1


async def test_names_that_failed_slowly_leave_room_for_others(
    resolver: Resolver, lookups: Lookups, monkeypatch: pytest.MonkeyPatch
) -> None:
    remembered_for(monkeypatch, 0, 0)
    monkeypatch.setattr(resolver_module, "_MOST_LOOKUPS", 4)
    monkeypatch.setattr(resolver_module, "_MOST_DOUBTFUL", 2)
    monkeypatch.setattr(resolver_module, "_SLOW", -1.0)
    dead = [f"dead{n}" for n in range(8)]
    for name in dead:
        lookups.answers[name] = OSError("no answer")
        await failure(resolver, name)
    lookups.silent = {*dead}
    waiting = [asking(resolver, name) for name in dead]
    await until(lambda: sum(lookups.asked.values()) == 10, "two of them have begun again")
    assert await resolver.look_up("live", LONG) == v4("127.0.0.1")
    lookups.wake()
    await asyncio.gather(*waiting)
    assert "0 being looked up" in repr(resolver)


async def test_a_thread_that_cannot_be_had(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> int:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_thread, "start_new_thread", none)
    assert "can't start new thread" in await failure(resolver, "hub")
    monkeypatch.undo()
    assert await resolver.look_up("hub", LONG)


async def test_the_end_waits_for_nobody(resolver: Resolver, lookups: Lookups) -> None:
    lookups.silent = {"dead"}
    waiting = asking(resolver, "dead")
    await until(lambda: lookups.asked["dead"], "it is looked up")
    resolver.close()
    assert "shutting down" in await waiting


# --- what takes no lookup ----------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "fe80::1%eth0", "2001:db8::1"])
def test_an_address(host: str) -> None:
    assert is_literal(host)


@pytest.mark.parametrize("host", ["hub", "127.0.0.1.test", "1.2.3.4.5", "127.1", "a" * 300, "ä"])
def test_a_name(host: str) -> None:
    assert not is_literal(host)


@pytest.mark.parametrize("host", ["localhost", "localhost."])
async def test_localhost(resolver: Resolver, lookups: Lookups, host: str) -> None:
    assert resolver.recall(host) == await resolver.look_up(host, SHORT) == LOOPBACK
    assert not lookups.asked


# --- the system --------------------------------------------------------------------------------


def test_the_system_is_asked() -> None:
    assert system_addresses("127.1") == v4("127.0.0.1")
    assert system_addresses("::1") == (HostAddress(socket.AF_INET6, "::1", (0, 0)),)
    assert LOOPBACK[1].at(80) == ("::1", 80, 0, 0)


def test_families_alternate_in_the_systems_order(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(*_: object, **__: object) -> list[Any]:
        six = [(socket.AF_INET6, 1, 6, "", (f"2001:db8::{n}", 0, 0, n)) for n in range(3)]
        four = [(socket.AF_INET, 1, 6, "", (f"192.0.2.{n}", 0)) for n in range(30)]
        return [*six, *four, *four]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    addresses = system_addresses("hub")
    assert addresses[:3] == (
        HostAddress(socket.AF_INET6, "2001:db8::0", (0, 0)),
        HostAddress(socket.AF_INET, "192.0.2.0"),
        HostAddress(socket.AF_INET6, "2001:db8::1", (0, 1)),
    )
    assert len(addresses) == len({*addresses}) == 16
