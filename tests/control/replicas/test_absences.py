"""Replicas that changes wait for in vain are logged when that begins, and when it is over."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest

from hubgate.control.api.served import served
from hubgate.control.replicas import absences
from hubgate.control.replicas.absences import Absences
from hubgate.control.web.responses import plain
from hubgate.store.base import Point
from hubgate.store.members import Replica
from hubgate.tasks import spawn
from tests.control.replicas.sharing import Member
from tests.control.waiting import until

ANY: Any = None


class Group:
    """Us, who serve revision 7, and a replica that is missed; what is logged of it."""

    def __init__(self, caplog: pytest.LogCaptureFixture, wait: float = 1.0) -> None:
        self.us = Member("us")
        self.us.others = [self._replica("us", 7), self._replica("other", 6)]
        self.absences = Absences(self.us, wait)
        self._caplog = caplog

    @property
    def said(self) -> list[str]:
        assert all(each.levelno == logging.WARNING for each in self._caplog.records)
        return [each.getMessage() for each in self._caplog.records]

    def _replica(self, name: str, revision: int) -> Replica:
        return Replica(name, "", True, 0.0, ("history", revision), {})

    def becomes(self, serving: Point = ("history", 6), live: bool = True) -> None:
        self.us.others[1] = replace(self.us.others[1], serving=serving, live=live)

    async def misses(self) -> None:
        await self.absences.look(ANY, served(plain(201), ("other",)))

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[None]:
        task = spawn(self.absences.run(), "absences")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(absences, "PAUSE", 0.01)


HANGS = (
    "replica 'other' does not serve changes, which wait 1 s for it until its lease ends; see"
    " `proxyctl replicas`"
)


async def test_one_that_hangs_is_said_once_until_it_serves_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    group = Group(caplog)
    async with group.looking():
        for _ in range(3):
            await group.misses()
            await asyncio.sleep(0.05)
        assert group.said == [HANGS]
        group.becomes(("history", 7))
        await until(lambda: group.said[1:] == ["replica 'other' serves changes again"])
        group.becomes()
        await group.misses()
        assert group.said[2:] == [HANGS]


async def test_one_whose_lease_ends_is_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    group, over = Group(caplog), "is not waited for any more: it has ended, or its lease has"
    async with group.looking():
        await group.misses()
        group.becomes(live=False)
        await until(lambda: group.said == [HANGS, f"replica 'other' {over}"])
        await group.misses()
        del group.us.others[1]
        await until(lambda: group.said[2:] == [HANGS, f"replica 'other' {over}"])


async def test_while_the_store_is_away_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    group = Group(caplog)
    async with group.looking():
        await group.misses()
        group.us.cut_off(60)
        group.becomes(live=False)
        await asyncio.sleep(0.05)
        assert group.said == [HANGS]


async def test_another_history_is_what_others_serve_by_then(
    caplog: pytest.LogCaptureFixture,
) -> None:
    group = Group(caplog)
    async with group.looking():
        await group.misses()
        await asyncio.sleep(0.05)
        group.becomes(("next history", 1))
        await until(lambda: group.said[1:] == ["replica 'other' serves changes again"])


async def test_who_waits_for_nobody_misses_those_that_stay_behind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    group = Group(caplog, wait=0)
    await group.misses()
    group.becomes(("history", 7))
    async with group.looking():
        await until(lambda: "none" in repr(group.absences))
        assert group.said == []
        group.becomes()
        await group.misses()
        await until(
            lambda: (
                group.said == ["replica 'other' does not serve changes; see `proxyctl replicas`"]
            )
        )


async def test_a_response_that_names_nobody(caplog: pytest.LogCaptureFixture) -> None:
    group = Group(caplog)
    await group.absences.look(ANY, plain(201))
    assert group.said == []
    await Absences(None, 1.0).run()
