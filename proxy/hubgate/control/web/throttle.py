"""The response to clients that may not use the API: 403, delayed for those that keep trying."""

import asyncio
import time

from aiohttp import web

from hubgate.control.web.failed_attempts import FailedAttempts, Failure
from hubgate.control.web.responses import REASON, UNLOGGED, plain

MOST_WAITING = 128
"""Responses delayed at a time; a further failure gets 429 at once, and its connection closes."""


class Throttle:
    """Responds to failed attempts, and only to those: the right token never waits here."""

    def __init__(self) -> None:
        self._failures = FailedAttempts()
        self._waiting = 0

    def __repr__(self) -> str:
        return f"<Throttle {self._waiting} waiting, {self._failures}>"

    async def answer(self, request: web.Request, reason: str) -> web.Response:
        """Return the refusal, after the delay for this peer.

        `reason` goes to the log, with at most one line a second per peer.
        """
        remote = peer_of(request)
        failure = self._failures.note(remote, time.monotonic())
        if await self._hold(failure.delay):
            response = plain(403)
        else:
            response = plain(429, "Too Many Requests")
            response.force_close()
        explain(response, reason, remote, failure)
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


def peer_of(request: web.Request) -> str:
    """Return what a log line calls the other end of a request's connection."""
    return request.remote or "a unix socket"


def explain(response: web.Response, reason: str, remote: str, failure: Failure) -> None:
    """Say in a refusal what its log line is, if it gets one."""
    more = f", and {failure.unlogged} more before it" if failure.unlogged else ""
    response[REASON] = f"{reason}, from {remote}{more}"
    response[UNLOGGED] = not failure.logged
