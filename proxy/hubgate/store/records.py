"""Routes to text and back, for stores outside this process."""

import json

from hubgate.model import NO_OPTIONS, Route, RouteData, RouteOptions

_encode = json.JSONEncoder(separators=(",", ":")).encode


def _options_text(options: RouteOptions) -> str:
    return _encode({"strip_prefix": options.strip_prefix, "headers": options.headers})


_PLAIN_TEXT = _options_text(NO_OPTIONS)


def encode(route: Route) -> tuple[str, str]:
    """Return the route's data, as it was posted, and its options, both as ASCII JSON."""
    options = route.options
    text = _PLAIN_TEXT if options is NO_OPTIONS else _options_text(options)
    return RouteData.of(route.data).text, text


def decode(key: str, data: str, options: str) -> Route:
    """Return the route that `encode` was given. Raises ValueError for any other text."""
    posted = json.loads(data)
    try:
        target = posted["target"]
        known = NO_OPTIONS if options == _PLAIN_TEXT else _options(options)
    except (TypeError, KeyError) as error:
        raise ValueError(f"not a route: {error!r}") from None
    if not isinstance(key, str) or not isinstance(target, str):
        raise ValueError("not a route: its key or target is not text")
    # Text that we wrote is used as it is.
    ours = data.startswith("{") and data.endswith("}") and data.isascii()
    return Route(key, target, RouteData(data) if ours else RouteData.of(posted), known)


def _options(text: str) -> RouteOptions:
    chosen = json.loads(text)
    headers = tuple((str(name), str(value)) for name, value in chosen["headers"])
    return RouteOptions(bool(chosen["strip_prefix"]), headers)
