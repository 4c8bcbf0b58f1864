"""How much is remembered of the latest changes, for a Redis that has lost them."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from hubgate.model import Route, RouteData
from hubgate.store.redis import held as module
from hubgate.store.redis import keys as keys_module
from hubgate.store.redis.held import Held, RecentChanges
from hubgate.store.redis.history import Meta, continued
from hubgate.store.redis.keys import LogEntry, VersionedTable, gone_name
from tests.store.redis.following import route

META = Meta("1-a", "run", "run", 5, True, continued((), "", 0, "1-a"))


@pytest.fixture(autouse=True)
def bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RECENT_ROUTES", 10)


def entry(revision: int, put: int = 0, delete: Sequence[str] = ()) -> LogEntry:
    routes = tuple(route(f"/{revision}/{number}") for number in range(put))
    return LogEntry(revision, "a", routes, tuple(delete))


def table(version: int, *keys: str) -> VersionedTable:
    return VersionedTable({key: route(key) for key in keys}, dict.fromkeys(keys, version))


def revisions(recent: RecentChanges) -> list[int]:
    return [each.revision for each in recent]


def test_the_oldest_changes_are_forgotten_for_new_ones() -> None:
    recent = RecentChanges()
    recent.begin(5)
    for number in range(6, 12):
        recent.add(entry(number, put=3, delete=["/x"]))
    assert (revisions(recent), recent.after) == ([10, 11], 9)


def test_a_change_of_more_routes_is_not_kept() -> None:
    recent = RecentChanges()
    recent.begin(5)
    recent.add(entry(6, put=1))
    recent.add(entry(7, put=11))
    assert (revisions(recent), recent.after) == ([], 7)
    recent.add(entry(8, put=10))
    assert (revisions(recent), recent.after) == ([8], 7)


def test_a_large_route_and_an_empty_change_count_too() -> None:
    recent = RecentChanges()
    data = RouteData.of({"target": "http://b", "more": "x" * 9000})
    recent.add(entry(1))
    recent.add(LogEntry(2, "a", (Route("/a", "http://b", data),)))
    assert revisions(recent) == [1, 2]
    recent.add(entry(3))
    assert revisions(recent) == [2, 3]
    for number in range(4, 20):
        recent.add(entry(number))
    assert revisions(recent) == [*range(10, 20)]


def test_a_table_that_is_loaded_whole_counts_as_what_differs() -> None:
    held = Held("a")
    held.begin(META, 5, table(10, "/a"))
    assert held.recent.after == 5
    grown = table(20, *(f"/{number}" for number in range(8)))
    grown.gone[gone_name("/a")] = 15
    held.begin(META, 6, grown)
    (change,) = held.since(5)
    assert (len(change.put), change.delete, held.recent.after) == (8, ("/a",), 5)
    assert [change.version_of(key) for key in ("/0", "/7", "/a")] == [20, 20, 15]
    held.begin(META, 7, VersionedTable())
    assert (len(held.since(6)[0].delete), held.recent.after) == (8, 6)
    assert held.since(6)[0].version_of("/0") > 20, "it was removed later, whenever that was"
    held.begin(META, 8, table(30, *(f"/x{number}" for number in range(11))))
    assert (held.since(5), held.recent.after) == ([], 8)
    assert held.version == 30


def test_a_removal_is_remembered_until_the_key_is_there_again() -> None:
    known = VersionedTable()
    for version, change in enumerate((entry(1, put=2), entry(2, delete=["/1/0", "/1/1"]))):
        known.take(replace(change, version=version))
    assert (known.routes, known.gone) == ({}, {gone_name("/1/0"): 1, gone_name("/1/1"): 1})
    known.take(replace(entry(1, put=1), versions={"/1/0": 7}))
    assert (known.versions, known.gone) == ({"/1/0": 7}, {gone_name("/1/1"): 1})


def test_what_was_written_last_is_taken_over_as_it_came_to_be() -> None:
    held, after = Held("a"), Held("a")
    held.begin(META, 5, table(10, "/x", "/y", "/z"))
    held.own[6] = LogEntry(6, "a", delete=("/x", "/y"), version=20)
    held.own[7] = LogEntry(7, "a", (route("/x", "http://new"),), version=30)
    latest = [route("/x", "http://new"), route("/z")]
    after.take_over(held.text("redis://a"), "redis://a", latest, {"/x": 7.0})
    assert (after.point, after.activity) == (held.point, {"/x": 7.0})
    assert [(each.put, each.delete, each.version) for each in after.since(5)] == [
        ((), ("/y",), 20),
        ((latest[0],), (), 30),
    ]
    assert after.table.routes.keys() == {"/x", "/z"}


def test_the_oldest_removals_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys_module, "GONE", 3)
    known = VersionedTable()
    for key in "abcda":
        known.take(LogEntry(1, "a", delete=(key,)))
    assert list(known.gone) == [gone_name(key) for key in "cda"]
