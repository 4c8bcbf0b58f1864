"""A route's key: a path, or in native mode a host and a path; one spelling for each route.

A host with a dot in front, `.hub.example.org`, is that host and all its subdomains, as nginx's
`server_name` has it.
"""

import re
from ipaddress import IPv6Address

from hubgate.errors import RouteError

SUBDOMAINS = "."
"""In front of a key's host: its subdomains are meant as well."""

_USUAL = re.compile(r"(/[A-Za-z0-9_~@-][A-Za-z0-9_~@.-]*)+", re.ASCII)
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")


def is_usual_key(key: str) -> bool:
    """Return whether `key` is a path as nearly all are: clean, and without anything unusual."""
    return _USUAL.fullmatch(key) is not None


def clean_path(path: str) -> str:
    """Return `path` with one leading slash and no trailing one; `/` stays `/`.

    CHP trims a single trailing slash, but matches without any, so `/a` and `/a//` would be
    two rows competing for one place in the table.
    """
    cleaned = "/" + path.strip("/")
    # The same object where possible: of a hundred thousand keys one copy is enough.
    return path if path == cleaned else cleaned


def clean_host(host: str) -> str:
    """Return a host in the form that requests are matched on: lower case, no final dot.

    Raises RouteError for anything that is not a host, such as a host with a port.
    """
    cleaned = host.lower().removesuffix(".")
    if _NAME.fullmatch(cleaned.removeprefix(SUBDOMAINS)):
        return cleaned
    try:
        if cleaned.startswith("[") and cleaned.endswith("]"):
            return f"[{IPv6Address(cleaned[1:-1])}]"
    except ValueError:
        pass
    raise RouteError(f"bad host {host!r}: write a name such as hub.example.org, without a port")


def join_key(host: str, path: str) -> str:
    """Return the key of a route: its path, with the host in front if there is one.

    Raises RouteError for a bad host.
    """
    return (clean_host(host) if host else "") + clean_path(path)


def split_key(key: str) -> tuple[str, str]:
    """Return (host, path) of a key; the host is "" for a route without one."""
    host, _, path = key.partition("/")
    return host, clean_path(path)


def clean_key(key: str) -> str:
    """Return the one spelling of `key`: `hub.example.org/a/` becomes `hub.example.org/a`.

    Raises RouteError for a bad host.
    """
    return join_key(*split_key(key))
