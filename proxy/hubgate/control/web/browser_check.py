"""Requests that a web page has a browser send: those of other sites' pages are refused.

A browser sends requests of any page to any address, this machine's and its network's included, and
adds `Origin` and `Sec-Fetch-Site` (https://www.w3.org/TR/fetch-metadata/), which the page can
neither remove nor change. Hubs and other programs send neither and are not affected.
"""

from dataclasses import dataclass

from aiohttp import web
from multidict import CIMultiDictProxy

from hubgate.control.web.host_names import HostNames

Headers = CIMultiDictProxy[str]

LONGEST_SHOWN = 200
"""Characters of a header's value in a log line."""

# `none` is a person, who typed the address or opened a bookmark.
_OWN_SITES = ("same-origin", "none")


@dataclass(frozen=True, slots=True)
class PageRefusal:
    """The response to a refused request, and its reason for the log."""

    status: int
    text: str
    reason: str


class BrowserCheck:
    """Checks what a browser says about the page behind a request, and the name it was sent to.

    `ever_token` says whether the port can have a token, for what the log advises.
    """

    def __init__(self, hosts: HostNames, ever_token: bool = True) -> None:
        self.hosts = hosts
        token = " set a token," if ever_token else ""
        self._ways = f"add it to api.hosts (HUBGATE_API_HOSTS),{token} or use an address"

    def __repr__(self) -> str:
        return f"<BrowserCheck {self.hosts}>"

    def refusal(self, request: web.Request, token_needed: bool) -> PageRefusal | None:
        """Return why a request may not pass, None if it may.

        Where a token is needed the host name does not matter: a page does not have the token,
        whatever name it was loaded from.
        """
        headers = request.headers
        if (sign := foreign_sign(headers)) is not None:
            text = "refused: a web page of another site sent this"
            return PageRefusal(403, text, f"a page of another site, {sign}")
        if not token_needed and (field := self._unknown_host(request)) is not None:
            text = "refused: this host name is not known here; use an address"
            return PageRefusal(403, text, f"Host {_shown(field)} is not known here: {self._ways}")
        if is_from_browser(headers) and request.can_read_body and not _is_json(request):
            text = "refused: a web page must send a body as application/json"
            return PageRefusal(415, text, f"a page's body of type {_shown(request.content_type)}")
        return None

    def _unknown_host(self, request: web.Request) -> str | None:
        if request.secure:
            return None  # a browser has refused our certificate, which has another name
        name = request.get_extra_info("sockname")
        if isinstance(name, str | bytes):
            return None  # no browser connects to a unix socket
        arrived_at = name[0] if isinstance(name, tuple) else None
        fields = request.headers.getall("Host", ())  # browsers always send one
        return next((each for each in fields if not self.hosts.known(each, arrived_at)), None)


def is_from_browser(headers: Headers) -> bool:
    """Say whether a browser sent these headers.

    Not by Sec-Fetch-Mode: Node.js sends that, and nothing else of this.
    """
    return "Origin" in headers or "Sec-Fetch-Site" in headers


def foreign_sign(headers: Headers) -> str | None:
    """Return what shows that a page of another origin is behind these headers, None if nothing."""
    for site in headers.getall("Sec-Fetch-Site", ()):
        if site.strip().lower() not in _OWN_SITES:
            return f"Sec-Fetch-Site {_shown(site)}"
    hosts = headers.getall("Host", ())
    for origin in headers.getall("Origin", ()):
        if len(hosts) != 1 or not _same(origin, hosts[0]):
            return f"Origin {_shown(origin)}"
    return None


def _same(origin: str, host: str) -> bool:
    # The scheme is not compared: TLS may end in front of us. Both leave out a default port.
    scheme, _, authority = origin.strip().lower().partition("://")
    return scheme in ("http", "https") and authority == host.strip().lower()


def _is_json(request: web.Request) -> bool:
    # Neither can be sent by a page of another site unasked: both take a preflight.
    return request.content_type in ("application/json", "application/merge-patch+json")


def _shown(value: str) -> str:
    return repr(value[:LONGEST_SHOWN])
