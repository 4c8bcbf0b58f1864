"""The body of a POST: JSON, checked before it becomes a route."""

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from proxy.errors import RouteError
from proxy.model import Headers, RouteOptions
from proxy.routing.target import parse_target

MAX_DEPTH = 64
"""How deep a route's data may nest: far beyond any use, far below Python's recursion limit."""


def read_data(body: bytes) -> dict[str, Any]:
    """Return a body's JSON object with its string `target`; raises RouteError for any other."""
    try:
        data = json.loads(
            body.decode("utf-8"), parse_constant=_no_constant, parse_float=_finite_float
        )
    except UnicodeDecodeError:
        raise RouteError("the body is not valid JSON: it is not UTF-8") from None
    except RecursionError:
        raise RouteError("the body nests too deep") from None
    except ValueError as error:
        raise RouteError(f"the body is not valid JSON: {error}") from None
    if not isinstance(data, dict) or not isinstance(data.get("target"), str):
        raise RouteError('the body needs a "target" that is a string, such as "http://HOST:PORT"')
    _check_depth(data)
    try:
        data["target"].encode()
    except UnicodeEncodeError:
        raise RouteError("the target holds half a surrogate pair") from None
    return data


def read_options(data: Mapping[str, Any]) -> RouteOptions:
    """Return the options of a route in native mode, spelled as in routes.yaml.

    Raises RouteError for an option of the wrong type, and for a target nothing can connect to.
    """
    parse_target(data["target"])
    strip = data.get("strip_prefix", False)
    if not isinstance(strip, bool):
        raise RouteError("strip_prefix: write true or false")
    return RouteOptions(strip_prefix=strip, headers=_headers(data.get("headers", {})))


def _headers(fields: object) -> Headers:
    if not isinstance(fields, dict):
        raise RouteError('headers: write an object such as {"X-Team": "physics"}')
    for name, value in fields.items():
        if not (name.isascii() and name.replace("-", "").replace("_", "").isalnum()):
            raise RouteError(f"headers: {name!r} is not the name of a header")
        if not isinstance(value, str) or not (value.isascii() and value.isprintable()):
            raise RouteError(f"headers: {name}: the value must be printable ASCII text")
    return tuple(fields.items())


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite_float(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{digits} is too large a number")
    return number


def _check_depth(data: object) -> None:
    level: list[Any] = [data]
    for _ in range(MAX_DEPTH):
        inner = (v for v in level if isinstance(v, dict | list))
        level = [x for v in inner for x in (v.values() if isinstance(v, dict) else v)]
        if not level:
            return
    raise RouteError(f"the body nests deeper than {MAX_DEPTH} levels")
