"""The guard of the API's port: which requests may pass, and how the others are refused."""

from aiohttp import web

from hubgate.control.web.auth import TokenCheck
from hubgate.control.web.throttle import Throttle


class Guard:
    """Checked by every page before it responds; with no token set, every request may pass.

    There is one for the whole port: failed attempts are counted across all pages, so guessing
    on several pages gains nothing.
    """

    def __init__(self, token: str | None) -> None:
        self._token = TokenCheck(token)
        self._throttle = Throttle()

    def __repr__(self) -> str:
        return f"<Guard {self._token}, {self._throttle}>"

    def replace(self, token: str | None) -> None:
        """Accept `token` and no other, on every page, from the next request on."""
        self._token.replace(token)

    async def refuse(self, request: web.Request) -> web.Response | None:
        """Return the response to a request that may not pass; None, at once, if it may.

        The response is delayed according to the peer's failed attempts.
        """
        reason = self._token.refusal(request.headers.get("Authorization"))
        return None if reason is None else await self._throttle.answer(request, reason)
