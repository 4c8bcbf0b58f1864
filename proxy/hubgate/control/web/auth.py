"""Who may use the API: clients with a token, each for what is in its scope."""

import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass

from aiohttp import web

from hubgate.routing.scope import EVERYTHING, Scope
from hubgate.settings.values import ApiToken

_AUTHORIZATION = re.compile(r"\s*(?:token|bearer)\s+(\S+)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose token a request has: its name, "" if it has none, and what it is for."""

    name: str = ""
    scope: Scope = EVERYTHING


ANYBODY = Caller()
"""Who sends a request where no token is needed, or the one token that has no name."""

CALLER = web.RequestKey("caller", Caller)
"""The caller of a request that the guard has let pass."""


def caller_of(request: web.Request) -> Caller:
    """Return who sent a request; `caller_of(request).scope` is what it may see and change."""
    caller: Caller = request.get(CALLER, ANYBODY)
    return caller


class TokenCheck:
    """Checks the `Authorization` header; with no token set, every request may pass."""

    def __init__(self, token: str | None, named: Iterable[ApiToken] = ()) -> None:
        self.replace(token, named)

    def __repr__(self) -> str:
        return f"<TokenCheck {'guarding' if self._callers else 'open'}>"

    def replace(self, token: str | None, named: Iterable[ApiToken] = ()) -> None:
        """Accept `token`, those `named` and no other, from the next request on."""
        self._callers = {_raw(each.token): Caller(each.name, each.scope) for each in named}
        if token:
            self._callers[_raw(token)] = ANYBODY

    @property
    def needed(self) -> bool:
        """Whether a request needs a token."""
        return bool(self._callers)

    def check(self, authorization: str | None) -> Caller | str:
        """Return who may pass with this header, or as text for the log why nobody may.

        `authorization` is the header as it came: `token SECRET` as the hub writes it, or
        `Bearer SECRET`.
        """
        if not self._callers:
            return ANYBODY
        if not authorization:
            return "no token"
        match = _AUTHORIZATION.fullmatch(authorization)
        if match is None:
            return "an Authorization header that is neither token nor Bearer"
        sent, found = _raw(match[1]), None
        for token, caller in self._callers.items():
            # In constant time, so that the delay does not reveal how much of it was right.
            if hmac.compare_digest(sent, token):
                found = caller
        return found or "a wrong token"


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
