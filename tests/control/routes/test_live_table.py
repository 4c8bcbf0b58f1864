"""The table of all sources: who is served, and what a change makes of that."""

import time

import pytest

from hubgate.control.routes.live_table import Difference, LiveTable
from hubgate.errors import RouteNotFoundError
from hubgate.model import Route, Source

NOTHING = Difference((), ())


def route(key: str, port: int = 1, source: Source = Source.API) -> Route:
    return Route(key, f"http://127.0.0.1:{port}", source=source)


def of_file(key: str, port: int = 1) -> Route:
    return route(key, port, Source.FILE)


def test_the_file_beats_the_api() -> None:
    assert list(Source) == [Source.FILE, Source.API]


@pytest.mark.parametrize("first", Source)
def test_precedence_does_not_depend_on_who_came_first(first: Source) -> None:
    table = LiveTable()
    routes = {source: route("/a", source=source) for source in Source}
    table.change(first, [routes.pop(first)], ())
    for source, other in routes.items():
        table.change(source, [other], ())
    assert table.snapshot() == (of_file("/a"),)
    assert table.get("/a").route.source is Source.FILE
    assert len(table) == 1


def test_only_what_is_served_otherwise_is_a_difference() -> None:
    table = LiveTable()
    assert table.change(Source.API, [route("/a"), route("/b")], ()).put == (
        route("/a"),
        route("/b"),
    )
    assert table.change(Source.API, [route("/a")], ["/never-there"]) == NOTHING
    assert not NOTHING
    assert table.change(Source.FILE, [of_file("/a", 2)], ()) == Difference((of_file("/a", 2),), ())
    # Shadowed: nobody sees it.
    assert table.change(Source.API, [route("/a", 3)], ["/b"]) == Difference((), ("/b",))
    assert table.change(Source.API, (), ["/a"]) == NOTHING
    assert table.change(Source.FILE, (), ["/a"]) == Difference((), ("/a",))
    with pytest.raises(RouteNotFoundError, match="/a"):
        table.get("/a")


def test_what_was_shadowed_returns() -> None:
    table = LiveTable()
    table.change(Source.API, [route("/a", 2)], ())
    table.change(Source.FILE, [of_file("/a"), of_file("/b")], ())
    assert table.replace(Source.FILE, [of_file("/c")]) == Difference(
        (of_file("/c"), route("/a", 2)), ("/b",)
    )


def test_a_key_that_is_deleted_and_put_is_put() -> None:
    table = LiveTable()
    table.change(Source.API, [route("/a")], ())
    assert table.change(Source.API, [route("/a", 2)], ["/a"]) == Difference((route("/a", 2),), ())


def test_activity_is_kept_while_a_key_is_served_and_begins_anew_after() -> None:
    table = LiveTable()
    started = time.time()
    table.begin({Source.API: {"/a": route("/a")}}, {"/a": 5.0})
    table.change(Source.API, [route("/a", 2)], ())
    table.change(Source.FILE, [of_file("/a")], ())
    table.change(Source.API, (), ["/a"])
    assert table.get("/a").last_activity == 5.0
    table.replace(Source.FILE, ())
    table.change(Source.API, [route("/a")], ())
    assert table.get("/a").last_activity >= started


def test_all_of_a_source_is_replaced() -> None:
    table = LiveTable()
    table.begin({Source.API: {key: route(key) for key in ("/a", "/b")}}, {})
    difference = table.replace(Source.API, [route("/b"), route("/c")])
    assert difference == Difference((route("/c"),), ("/a",))
    assert list(table.of(Source.API)) == ["/b", "/c"]
