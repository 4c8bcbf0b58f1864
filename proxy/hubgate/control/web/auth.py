"""Who may use the API: clients with the token."""

import hmac
import re

_AUTHORIZATION = re.compile(r"\s*(?:token|bearer)\s+(\S+)\s*", re.IGNORECASE)


class TokenCheck:
    """Checks the `Authorization` header; with no token set, every request may pass."""

    def __init__(self, token: str | None) -> None:
        self.replace(token)

    def __repr__(self) -> str:
        return f"<TokenCheck {'open' if self._token is None else 'guarding'}>"

    def replace(self, token: str | None) -> None:
        """Accept `token` and no other, from the next request on."""
        self._token = _raw(token) if token else None

    @property
    def needed(self) -> bool:
        """Whether a request needs the token."""
        return self._token is not None

    def refusal(self, authorization: str | None) -> str | None:
        """Return why a request may not pass, as text for the log, or None if it may.

        `authorization` is the header as it came: `token SECRET` as the hub writes it, or
        `Bearer SECRET`.
        """
        if self._token is None:
            return None
        if not authorization:
            return "no token"
        match = _AUTHORIZATION.fullmatch(authorization)
        if match is None:
            return "an Authorization header that is neither token nor Bearer"
        # In constant time, so that the delay does not reveal how much of it was right.
        return None if hmac.compare_digest(_raw(match[1]), self._token) else "a wrong token"


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
