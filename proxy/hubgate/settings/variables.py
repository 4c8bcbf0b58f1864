"""Environment variables that begin with HUBGATE_: those we know, and what others may be.

Kubernetes puts variables of its own into every container, named after the services beside it:
for a service `hubgate`, HUBGATE_PORT=tcp://10.0.0.1:8000. What is not a setting is not read as one.
https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
"""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from hubgate.model import RedisLogin
from hubgate.settings.catalogue import OTHER_VARIABLES, SETTINGS, variables_of

PREFIX = "HUBGATE_"

KNOWN = frozenset(
    name
    for name in (*OTHER_VARIABLES, *(name for each in SETTINGS for name in each.variables))
    if name.startswith(PREFIX)
)
"""Every variable of ours that has a meaning."""

_LINK = re.compile(r"(?:tcp|udp|sctp)://\S+\Z")
_LINK_NAME = re.compile(
    r"\w+_(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?"
    r"|PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)\Z"
)
_SIMILAR = 0.7


def without_service_links(environ: Mapping[str, str]) -> dict[str, str]:
    """Return `environ` without those of our variables that Kubernetes has set."""
    return {name: value for name, value in environ.items() if not _is_link(name, value)}


def service_links(environ: Mapping[str, str]) -> list[str]:
    """Return a line for each setting's variable that is ignored because Kubernetes has set it."""
    return [
        f"{name} is ignored: {value} is what Kubernetes sets for a service named"
        f" {_service(name)}; set enableServiceLinks: false to be rid of it"
        for name, value in sorted(environ.items())
        if name in KNOWN and _is_link(name, value)
    ]


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Return a line for each variable that looks like one of ours and is not."""
    return list(_unknown(without_service_links(environ)))


def _unknown(environ: Mapping[str, str]) -> Iterator[str]:
    names = {name.removeprefix(PREFIX): name for name in KNOWN}
    for name, value in sorted(environ.items()):
        if not name.startswith(PREFIX) or name in KNOWN or not value or _LINK_NAME.match(name):
            continue
        close = get_close_matches(name.removeprefix(PREFIX), names, n=1, cutoff=_SIMILAR)
        hint = f"did you mean {names[close[0]]}?" if close else "--help shows those there are"
        yield f"{name} is not a setting and has no effect; {hint}"


def _is_link(name: str, value: str) -> bool:
    return name.startswith(PREFIX) and name.endswith("_PORT") and bool(_LINK.match(value.strip()))


def _service(name: str) -> str:
    return name.removesuffix("_PORT").lower().replace("_", "-")


def redis_login(environ: Mapping[str, str]) -> RedisLogin:
    """Return what the environment says of the login, without any file."""
    password, sentinels = (
        environ.get(variables_of(f"redis.{name}")[0]) or None
        for name in ("password", "sentinel_password")
    )
    return RedisLogin(password=password, sentinel_password=sentinels)
