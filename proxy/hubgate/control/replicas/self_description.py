"""What a replica tells the others of itself: where it is, and marks of what must be the same.

Everybody who reads the shared store can read it. So it holds nothing secret, and its marks of what
is secret are too short, and too slow to make, for a token to be found by trying.
"""

import hashlib
import json
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any
from urllib.parse import quote

from hubgate import __version__
from hubgate.control.listening.listeners import Listeners
from hubgate.control.listening.sockets import Listener
from hubgate.model import Address, Route
from hubgate.routing.target import hide_password
from hubgate.settings import Settings

COMPARED = ("release", "routes", "routing", "tokens")
"""What replicas are compared by: the others are the fixed routes, how is routed, and the tokens."""

_EVERYWHERE = ("", "0.0.0.0", "::", "*")
# 16 MiB and some 40 ms for each try.
_COST = {"n": 2**14, "r": 8, "p": 1}
_SHOWN = 3  # hexadecimal digits


class SelfDescription:
    """Describes the running hubgate; `update` it when a reload has changed the settings."""

    def __init__(self, settings: Settings, listeners: Listeners) -> None:
        self._settings = settings
        self._listeners = listeners
        self._started = time.time()
        self._marks: tuple[Settings | None, str, dict[str, str]] = (None, "", {})
        self._one_at_a_time = threading.Lock()

    def __repr__(self) -> str:
        return f"<SelfDescription of {self._listeners}>"

    def update(self, settings: Settings) -> None:
        """Describe a hubgate with these settings from now on."""
        self._settings = settings

    def __call__(self, secret: str, host: str) -> Mapping[str, Any]:
        """Return the description, as JSON can have it, for replicas that reach us under `host`."""
        settings, listeners = self._settings, self._listeners
        public = "https" if settings.worker.tls else "http"
        api = _urls(listeners.api, "https" if settings.api_tls else "http", host)
        return {
            "release": __version__,
            "started": self._started,
            "host": host,
            "public": _urls(listeners.public, public, host),
            "api": api,
            "health": _urls(listeners.health, "http", host) or api,
            "same": self._same(settings, secret),
        }

    def _same(self, settings: Settings, secret: str) -> dict[str, str]:
        with self._one_at_a_time:
            known, salt, marks = self._marks
            if known is not settings or salt != secret:
                marks = _marks(settings, secret)
                self._marks = settings, secret, marks
        return marks


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Return in which of `COMPARED` two descriptions differ; what one does not have, does not."""

    def of(about: Mapping[str, Any], name: str) -> object:
        same = about.get("same")
        return (
            about.get(name) if name == "release" or not isinstance(same, dict) else same.get(name)
        )

    return [
        name
        for name in COMPARED
        if of(ours, name) is not None
        and of(theirs, name) is not None
        and of(ours, name) != of(theirs, name)
    ]


def _marks(settings: Settings, secret: str) -> dict[str, str]:
    rules = settings.worker.rules
    open_rules = replace(rules, custom_headers=(), error_target=None)
    tokens = [(each.name, str(each.scope), each.token) for each in settings.api_tokens]
    routes = sorted(settings.file_routes, key=lambda route: route.key)
    return {
        "routes": _mark(secret, [_open_part(each) for each in routes], _secret_part(routes)),
        "routing": _mark(
            secret,
            asdict(open_rules),
            [rules.custom_headers, rules.error_target] if rules != open_rules else None,
        ),
        "tokens": _mark(
            secret,
            [bool(settings.api_token), sorted(each[:2] for each in tokens)],
            [settings.api_token, sorted(tokens)] if settings.api_token or tokens else None,
        ),
    }


def _open_part(route: Route) -> list[Any]:
    names = [name for name, _ in route.options.headers]
    return [route.key, hide_password(route.target), route.options.strip_prefix, names]


def _secret_part(routes: Iterable[Route]) -> list[Any] | None:
    found = [
        [route.key, route.target, route.options.headers]
        for route in routes
        if route.options.headers or hide_password(route.target) != route.target
    ]
    return found or None


def _mark(secret: str, shown: object, hidden: object | None) -> str:
    """Return a mark that is the same for the same values.

    Of `hidden` it has so few bits that one of 4,096 tries fits, of which none can be sorted out
    without asking us, who slow them down.
    """
    mark = hashlib.sha256(_text(shown)).hexdigest()[:16]
    if hidden is None:
        return mark
    tried = hashlib.scrypt(_text(hidden), salt=secret.encode(), dklen=8, **_COST)
    return f"{mark}-{tried.hex()[:_SHOWN]}"


def _text(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _urls(listeners: Iterable[Listener], scheme: str, host: str) -> list[str]:
    return [_url(listener.address, scheme, host) for listener in listeners]


def _url(address: Address, scheme: str, host: str) -> str:
    if address.path is not None:
        return f"{scheme}+unix://{quote(address.path, safe='')}"
    name = host if address.host in _EVERYWHERE else address.host
    return f"{scheme}://{f'[{name}]' if ':' in name else name}:{address.port}"
