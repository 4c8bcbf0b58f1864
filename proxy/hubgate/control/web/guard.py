"""The one guard of the API's port: which requests may pass, and how the others are refused."""

from aiohttp import web

from hubgate.control.web.auth import TokenCheck
from hubgate.control.web.refusal import Refusals


class Guard:
    """Asked by every page before it answers; without a token set, everybody may pass.

    There is one for the whole port. Failed attempts are counted over all pages together, so a
    guesser gains nothing by going from page to page.
    """

    def __init__(self, token: str | None) -> None:
        self._token = TokenCheck(token)
        self._refusals = Refusals()

    def __repr__(self) -> str:
        return f"<Guard {self._token}, {self._refusals}>"

    def replace(self, token: str | None) -> None:
        """Let `token` pass and no other, on every page, from the next request on."""
        self._token.replace(token)

    async def refuse(self, request: web.Request) -> web.Response | None:
        """Return the answer to a request that may not pass, None at once if it may.

        The answer comes after the wait that the peer's failed attempts have earned it.
        """
        reason = self._token.refusal(request.headers.get("Authorization"))
        return None if reason is None else await self._refusals.answer(request, reason)
