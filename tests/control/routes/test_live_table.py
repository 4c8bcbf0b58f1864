"""The table of all sources: who is served, and what a change makes of that."""

import time

import pytest

from hubgate.control.routes.live_table import Difference, LiveTable
from hubgate.errors import RouteNotFoundError
from hubgate.model import Route, Source
from tests.clock import SetClock

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


@pytest.mark.parametrize("way", ["recorded", "added", "touched", "begun"])
def test_no_time_stays_in_the_future_when_the_clock_is_put_back(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, table = SetClock(monkeypatch), LiveTable()
    table.change(Source.API, [route("/b")], ())
    idle = table.get("/b").last_activity
    clock.ahead = 86400.0
    match way:
        case "begun":
            known = {"/a": time.time(), "/b": idle}
            table.begin({Source.API: {key: route(key) for key in known}}, known)
        case _:
            table.change(Source.API, [route("/a")], ())
    if way == "recorded":
        table.record({"/a": time.time()})
    elif way == "touched":
        table.touch("/a", time.time())
    clock.ahead = 0.0

    back = time.time()
    assert back <= table.get("/a").last_activity <= time.time()
    assert {live.route.key for live in table.all() if live.last_activity > time.time()} == set()
    assert table.get("/b").last_activity == idle
    # It is set once, not whenever somebody looks: the route is idle from then on.
    assert table.get("/a").last_activity == table.activity["/a"] <= time.time()


def test_a_worker_whose_clock_is_ahead_is_not_believed() -> None:
    """One of an earlier release reports the same time of tomorrow again and again."""
    table = LiveTable()
    table.begin({Source.API: {"/a": route("/a")}}, {"/a": 5.0})
    assert table.record({"/a": time.time() + 86400}) == {}
    assert table.get("/a").last_activity == 5.0
    # But a moment ahead is just a clock that was put back a little, and becomes now.
    assert table.record({"/a": time.time() + 0.5}).keys() == {"/a"}
    assert table.get("/a").last_activity <= time.time()


def test_all_of_a_source_is_replaced() -> None:
    table = LiveTable()
    table.begin({Source.API: {key: route(key) for key in ("/a", "/b")}}, {})
    difference = table.replace(Source.API, [route("/b"), route("/c")])
    assert difference == Difference((route("/c"),), ("/a",))
    assert list(table.of(Source.API)) == ["/b", "/c"]
