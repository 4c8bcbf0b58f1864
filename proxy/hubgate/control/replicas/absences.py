"""Replicas that changes wait for in vain: a line when that begins, and one when it is over."""

import asyncio
import logging
from dataclasses import dataclass

from aiohttp import web

from hubgate.control.api.served import MISSED
from hubgate.store.base import Point
from hubgate.store.members import Members, Replica

log = logging.getLogger("hubgate.supervisor")

PAUSE = 2.5
"""Seconds between two looks: longer than until it is heard here what others acknowledge."""


@dataclass(slots=True)
class Absence:
    """One replica that is missed: whether that was logged, and what it has to serve again."""

    told: bool = False
    until: Point | None = None


class Absences:
    """Notes replicas that responses name as missing; without `members` there are none.

    With `wait`, the seconds for which changes wait, at 0, one that is named may be as fast as ever:
    it is missed if it still lags behind at the second look.
    """

    def __init__(self, members: Members | None, wait: float) -> None:
        self._members = members
        self._wait = wait
        self._missed: dict[str, Absence] = {}

    def __repr__(self) -> str:
        return f"<Absences {', '.join(self._missed) or 'none'}>"

    async def look(self, _: web.Request, response: web.StreamResponse) -> None:
        """Note whom a response of the API names, before it is sent."""
        for name in response.get(MISSED, ()):
            absence = self._missed.setdefault(name, Absence())
            if self._wait:
                self._tell(name, absence)

    async def run(self) -> None:
        """Look now and then whether it is over, until cancelled."""
        while self._members is not None:
            await asyncio.sleep(PAUSE)
            if self._missed and not self._members.failing_for:  # else nothing is known
                self._look_at({each.name: each for each in self._members.replicas()})

    def _look_at(self, replicas: dict[str, Replica]) -> None:
        assert self._members is not None
        us = replicas.get(self._members.name)
        for name, absence in [*self._missed.items()]:
            replica = replicas.get(name)
            if replica is None or not replica.live:
                self._over(name, "is not waited for any more: it has ended, or its lease has")
            elif absence.until is None:
                absence.until = us.serving if us is not None else None
            elif _reaches(replica.serving, absence.until):
                self._over(name, "serves changes again")
            else:
                self._tell(name, absence)

    def _tell(self, name: str, absence: Absence) -> None:
        if not absence.told:
            wait = (
                f", which wait {self._wait:g} s for it until its lease ends" if self._wait else ""
            )
            log.warning("replica %r does not serve changes%s; see `proxyctl replicas`", name, wait)
        absence.told = True

    def _over(self, name: str, how: str) -> None:
        if self._missed.pop(name).told:
            log.warning("replica %r %s", name, how)


def _reaches(serving: Point | None, until: Point) -> bool:
    """Return whether one that serves this has what was missed; it has, in a later history."""
    return serving is not None and (serving[0] != until[0] or serving[1] >= until[1])
