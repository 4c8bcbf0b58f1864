"""The answer to those who may not use the API: 403, in no hurry for those who keep trying."""

import asyncio
import time

from aiohttp import web

from hubgate.control.web.failures import Failures
from hubgate.control.web.responses import REASON, UNLOGGED, plain

MOST_WAITING = 128
"""Answers held back at a time; whoever fails beyond them is told 429 at once, and to go."""


class Refusals:
    """Answers failed attempts. It is asked only about those: a right token never waits here."""

    def __init__(self) -> None:
        self._failures = Failures()
        self._waiting = 0

    def __repr__(self) -> str:
        return f"<Refusals {self._waiting} waiting, {self._failures}>"

    async def answer(self, request: web.Request, reason: str) -> web.Response:
        """Return the refusal, after the wait that the peer has earned.

        `reason` goes to the log, to which each peer adds one line a second at most.
        """
        remote = request.remote or "a unix socket"
        failure = self._failures.note(remote, time.monotonic())
        if await self._hold(failure.delay):
            response = plain(403)
        else:
            response = plain(429, "Too Many Requests")
            response.headers["Retry-After"] = "1"
            response.force_close()
        more = f", and {failure.unlogged} more before it" if failure.unlogged else ""
        response[REASON] = f"{reason}, from {remote}{more}"
        response[UNLOGGED] = not failure.logged
        return response

    async def _hold(self, delay: float) -> bool:
        if not delay:
            return True
        if self._waiting >= MOST_WAITING:
            return False
        self._waiting += 1
        try:
            await asyncio.sleep(delay)
        finally:
            self._waiting -= 1
        return True
