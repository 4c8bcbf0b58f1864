"""The body of a POST: JSON, checked before it becomes a route."""

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from hubgate.errors import ConfigError, RouteError
from hubgate.model import NO_OPTIONS, ForwardRules, Headers, Route, RouteOptions
from hubgate.routing.keys import SUBDOMAINS
from hubgate.routing.scope import EVERYTHING, Scope
from hubgate.routing.target import is_usual_target, parse_target
from hubgate.settings.urls import check_header, check_target

MAX_DEPTH = 64
"""How deep a route's data may nest: far beyond any real use, far below Python's recursion limit."""

LONGEST_INTEGER = 4300
"""Digits an integer may have; Python writes no more."""

_SHOWN = 40  # characters of a number


def posted_route(body: bytes, key: str, rules: ForwardRules, scope: Scope = EVERYTHING) -> Route:
    """Return the route that `body`, posted for `key` by a client with `scope`, describes.

    Raises RouteError.

    CHP takes any string as a target, and fails when a request comes: here, one that can never work
    is refused.
    """
    return checked_route(read_data(body), key, rules, scope)


def checked_route(
    data: dict[str, Any], key: str, rules: ForwardRules, scope: Scope = EVERYTHING
) -> Route:
    """Return the route with that key and `data`, which is checked already; raises RouteError."""
    options = NO_OPTIONS
    if rules.native_routes:
        options = read_options(data)  # which looks at the target, too
    elif not is_usual_target(data["target"]):
        parse_target(data["target"])
    if rules.host_routing and key != "/":
        # CHP shows the host of such a route.
        data["host"] = key.split("/")[1]
    if scope.host_routing and not key.startswith(SUBDOMAINS):
        data["host"] = key.partition("/")[0]
    return Route(key, data["target"], data, options)


def read_data(body: bytes) -> dict[str, Any]:
    """Return a body's JSON object, with a string `target`; raises RouteError for any other body."""
    try:
        data = _decode(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise RouteError("the body is not valid JSON: it is not UTF-8") from None
    except RecursionError:
        raise RouteError("the body nests too deeply") from None
    except ValueError as error:
        raise RouteError(f"the body is not valid JSON: {error}") from None
    return checked_data(data, "the body")


def checked_data(data: object, what: str) -> dict[str, Any]:
    """Return `data` if it can be a route's: an object with a string `target`; raises RouteError."""
    if not isinstance(data, dict) or not isinstance(data.get("target"), str):
        raise RouteError(f'{what} needs a "target" that is a string, such as "http://HOST:PORT"')
    _check_depth(data, what)
    try:
        data["target"].encode()
    except UnicodeEncodeError:
        raise RouteError("the target contains half a surrogate pair") from None
    return data


def read_options(data: Mapping[str, Any]) -> RouteOptions:
    """Return the options of a route in native mode, spelled and checked as in routes.yaml.

    Raises RouteError for an invalid option, and for a target nothing can connect to.
    """
    strip = data.get("strip_prefix", False)
    if not isinstance(strip, bool):
        raise RouteError(f"strip_prefix: {strip!r} is neither true nor false")
    try:
        check_target(data["target"])
    except ConfigError as error:
        raise RouteError(f"target: {error}") from None
    headers = _headers(data["headers"]) if "headers" in data else ()
    # Most routes share theirs.
    return RouteOptions(strip, headers) if strip or headers else NO_OPTIONS


def _headers(fields: object) -> Headers:
    if not isinstance(fields, dict) or not all(isinstance(v, str) for v in fields.values()):
        raise RouteError('headers: write an object of strings, such as {"X-Team": "physics"}')
    try:
        return tuple(check_header(name, value) for name, value in fields.items())
    except ConfigError as error:
        raise RouteError(f"headers: {error}") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite_float(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        shown = digits if len(digits) <= _SHOWN else f"{digits[:_SHOWN]}..."
        raise ValueError(f"{shown} is too large a number")
    return number


def _integer(digits: str) -> int:
    # Python's own limit, and its words for programmers: a conversion takes quadratic time.
    if len(digits.removeprefix("-")) > LONGEST_INTEGER:
        raise ValueError(f"{digits[:_SHOWN]}... has more than {LONGEST_INTEGER} digits")
    return int(digits)


DECODER = json.JSONDecoder(
    parse_constant=_no_constant, parse_float=_finite_float, parse_int=_integer
)
"""Reads JSON, and nothing that is only almost JSON. Raises ValueError."""

_decode = DECODER.decode


def _check_depth(data: dict[str, Any], what: str) -> None:
    level: list[Any] = [value for value in data.values() if isinstance(value, dict | list)]
    for _ in range(MAX_DEPTH - 1):
        if not level:
            return
        inner = (each.values() if isinstance(each, dict) else each for each in level)
        level = [value for values in inner for value in values if isinstance(value, dict | list)]
    if level:
        raise RouteError(f"{what} nests deeper than {MAX_DEPTH} levels")
