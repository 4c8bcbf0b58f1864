"""The guard of the control plane's ports: which requests may pass, and how others are refused."""

import time
from collections.abc import Iterable

from aiohttp import web

from hubgate.control.web.auth import CALLER, TokenCheck
from hubgate.control.web.browser_check import BrowserCheck, PageRefusal
from hubgate.control.web.failed_attempts import FailedAttempts
from hubgate.control.web.host_names import HostNames
from hubgate.control.web.responses import plain
from hubgate.control.web.throttle import Throttle, explain, peer_of
from hubgate.settings.values import ApiToken


class Guard:
    """Checked by every page before it responds; with no token set, all but web pages may pass.

    There is one for the whole port: failed attempts are counted across all pages, so guessing
    on several pages gains nothing.
    """

    def __init__(
        self,
        token: str | None,
        hosts: HostNames | None = None,
        ever_token: bool = True,
        named: Iterable[ApiToken] = (),
    ) -> None:
        self._token = TokenCheck(token, named)
        self._browsers = BrowserCheck(hosts or HostNames(), ever_token)
        self._throttle = Throttle()
        # Only to log few of them: a person's browser must not slow down the person.
        self._refused_pages = FailedAttempts()

    def __repr__(self) -> str:
        return f"<Guard {self._token}, {self._browsers}, {self._throttle}>"

    def without_token(self) -> "Guard":
        """Return the guard of another port, which needs no token and has the same host names."""
        return Guard(None, self._browsers.hosts, ever_token=False)

    def replace(self, token: str | None, names: Iterable[str], named: Iterable[ApiToken]) -> None:
        """Accept `token`, the `named` ones and no other, and know these host names.

        From the next request on.
        """
        self._token.replace(token, named)
        self._browsers.hosts.replace(names)

    def refuse_page(self, request: web.Request) -> web.Response | None:
        """Return the response to what no web page may have a browser send, token or not."""
        found = self._browsers.refusal(request, self._token.needed)
        return None if found is None else self._refused_page(request, found)

    async def refuse(self, request: web.Request) -> web.Response | None:
        """Return the response to a request that may not pass; None, at once, if it may.

        One that may has its `caller_of` from then on. The response to a missing token is delayed
        according to the peer's failed attempts.
        """
        if (response := self.refuse_page(request)) is not None:
            return response
        found = self._token.check(request.headers.get("Authorization"))
        if isinstance(found, str):
            return await self._throttle.answer(request, found)
        request[CALLER] = found
        return None

    def _refused_page(self, request: web.Request, found: PageRefusal) -> web.Response:
        response = plain(found.status, found.text)
        remote = peer_of(request)
        explain(response, found.reason, remote, self._refused_pages.note(remote, time.monotonic()))
        return response
