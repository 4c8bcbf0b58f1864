"""Routes as the table holds them, and what routes.yaml lets others change."""

import hashlib
import json
from collections.abc import Iterable, Mapping

from hubgate.control.routes.live_table import LiveTable
from hubgate.errors import ConfigError, FileRouteError, RouteError
from hubgate.model import HUBS_MARK, NO_OPTIONS, Route, RouteData, Source
from hubgate.routing.keys import clean_key
from hubgate.routing.target import same_target, shown
from hubgate.store.records import encode


def row(route: Route, source: Source) -> Route:
    """Return `route` as the table stores it: its data has the target, and most share options.

    Raises RouteError for a bad key.
    """
    data = RouteData.of({**route.data, "target": route.target})
    options = NO_OPTIONS if route.options == NO_OPTIONS else route.options
    return Route(clean_key(route.key), route.target, data, options, source)


def file_table(routes: Iterable[Route]) -> dict[str, Route]:
    """Return the routes of routes.yaml by key. Raises ConfigError."""
    table: dict[str, Route] = {}
    for route in routes:
        try:
            found = row(route, Source.FILE)
        except RouteError as error:
            raise ConfigError(f"routes: {route.key}: {error}") from None
        if found.key in table:
            raise ConfigError(f"routes: {found.key} is there twice: keep one")
        table[found.key] = found
    return table


def is_hubs(route: Route | None) -> bool:
    """Return whether a hub has posted the route as one of its own."""
    if route is None:
        return False
    data: Mapping[str, object] = route.data
    if isinstance(data, RouteData) and HUBS_MARK not in data.text:
        return False  # nothing to parse
    return HUBS_MARK in data


def refuse_put(table: LiveTable, route: Route) -> None:
    """Raise FileRouteError if routes.yaml has the route with another target, or other options."""
    of_file = table.of(Source.FILE).get(route.key)
    if of_file is None:
        return
    if not same_target(of_file.target, route.target):
        raise FileRouteError(
            f"route {route.key} is set in routes.yaml with the target"
            f" {shown(of_file.target)}, not {shown(route.target)}: change it there"
        )
    if route.options not in (NO_OPTIONS, of_file.options):
        raise FileRouteError(
            f"route {route.key} is set in routes.yaml with other options: change it there"
        )


def refuse_delete(table: LiveTable, key: str) -> None:
    """Raise FileRouteError if only routes.yaml has the route; what was posted can be deleted."""
    if key in table.of(Source.FILE) and table.posted(key) is None:
        raise FileRouteError(f"route {key} is set in routes.yaml: change it there")


def digest(routes: Iterable[Route]) -> str:
    """Return a text that is the same for the same routes, in any order; "" for none."""
    rows = sorted(json.dumps([*encode(route), route.key]) for route in routes)
    return hashlib.blake2b("\n".join(rows).encode(), digest_size=6).hexdigest() if rows else ""
