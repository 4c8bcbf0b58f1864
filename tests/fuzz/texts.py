"""Text from people and programs: keys, targets, routes that are posted, routes.yaml."""

import contextlib
import json

from hubgate.control.api.posted_route import posted_route
from hubgate.control.api.request_path import decode_route, split_target
from hubgate.errors import BadRequestError, ConfigError, RouteError
from hubgate.model import ForwardRules, Route
from hubgate.routing.keys import clean_key, join_key
from hubgate.routing.table import RouteTable
from hubgate.routing.target import parse_target
from hubgate.settings.routes_yaml.document import parse_document
from hubgate.settings.routes_yaml.fields import check_headers
from hubgate.store.records import decode, encode

RULES = ForwardRules(native_routes=True)


def paths(data: bytes) -> None:
    """Keys, targets and paths from anywhere give an answer or one of our errors."""
    text = data.decode("utf-8", "surrogateescape")
    table = RouteTable(RULES)
    with contextlib.suppress(RouteError):
        key = clean_key(text)
        assert clean_key(key) == key
        table.apply([Route(key, "http://127.0.0.1:1")], ())
        table.apply((), [key])
        assert len(table) == 0
    with contextlib.suppress(RouteError):
        parse_target(text)
    with contextlib.suppress(BadRequestError):
        table.match("hub", "/" + text)


def posted(data: bytes) -> None:
    """A POST is refused with a RouteError of one line, or its route can be stored and served."""
    target, _, body = data.partition(b"\n")
    path = split_target(target.decode("latin-1"))
    try:
        key = join_key(path.query.get("host", ""), decode_route(path.route or path.path))
        route = posted_route(body, key, RULES)
    except RouteError as error:
        check_line(str(error))
        return
    assert clean_key(key) == key
    assert decode(key, *encode(route)) == route
    assert parse_target(route.target)
    table = RouteTable(RULES)
    table.apply([route], ())
    table.apply((), [key])
    assert len(table) == 0


def settings(data: bytes) -> None:
    """Any text as routes.yaml gives a document or a ConfigError of one line a mistake."""
    lines: tuple[str, ...] = ()
    try:
        parse_document(data.decode("utf-8", "replace"), "routes.yaml")
    except ConfigError as error:
        lines = tuple(error.lines)
    for line in lines:
        check_line(line)
    with contextlib.suppress(ConfigError, ValueError):
        check_headers(json.loads(data))


def check_line(said: str) -> None:
    """Hold what a person is told to one line."""
    assert said
    assert "\n" not in said
