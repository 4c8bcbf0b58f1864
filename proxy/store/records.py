"""A route as text and back: what a store outside this process holds of it."""

import json

from proxy.model import Route, RouteOptions

_encode = json.JSONEncoder(separators=(",", ":")).encode


def encode(route: Route) -> tuple[str, str]:
    """Return the route's data, as it was posted, and its options, both as ASCII JSON."""
    options = route.options
    return _encode(route.data), _encode(
        {"strip_prefix": options.strip_prefix, "headers": options.headers}
    )


def decode(key: str, data: str, options: str) -> Route:
    """Return the route that `encode` was given. Raises ValueError for any other text."""
    posted, chosen = json.loads(data), json.loads(options)
    try:
        headers = tuple((str(name), str(value)) for name, value in chosen["headers"])
        target = posted["target"]
        known = RouteOptions(bool(chosen["strip_prefix"]), headers)
    except (TypeError, KeyError) as error:
        raise ValueError(f"not a route: {error!r}") from None
    if not isinstance(key, str) or not isinstance(target, str):
        raise ValueError("not a route: its key or target is no text")
    return Route(key, target, posted, known)
