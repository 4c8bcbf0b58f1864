"""GET /api/routes?inactiveSince=T, and how last_activity is written."""

import datetime
import json
import re
from urllib.parse import quote

import pytest

from tests.contract.better import better
from tests.contract.harness import RunningProxy

DEAD = "http://127.0.0.1:9"


def inactive(proxy: RunningProxy, since: str, name: str = "inactiveSince") -> list[str]:
    response = proxy.call("GET", f"/api/routes?{name}={quote(since, safe='')}")
    assert response.status == 200
    return sorted(json.loads(response.body))


def iso(moment: datetime.datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def test_activity_is_an_iso_time_in_utc_with_milliseconds(proxy: RunningProxy) -> None:
    proxy.add("/a", DEAD)
    written = proxy.routes()["/a"]["last_activity"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", written)


@pytest.mark.parametrize("name", ["inactiveSince", "inactive_since"])
def test_a_later_time_returns_the_route(proxy: RunningProxy, name: str) -> None:
    proxy.add("/a", DEAD)
    assert inactive(proxy, iso(now() + datetime.timedelta(hours=1)), name) == ["/a"]


@pytest.mark.parametrize("name", ["inactiveSince", "inactive_since"])
def test_an_earlier_time_leaves_the_route_out(proxy: RunningProxy, name: str) -> None:
    proxy.add("/a", DEAD)
    assert inactive(proxy, iso(now() - datetime.timedelta(hours=1)), name) == []


def test_the_time_divides_older_from_newer_routes(proxy: RunningProxy) -> None:
    proxy.add("/old", DEAD)
    while True:
        proxy.add("/new", DEAD)
        routes = proxy.routes()
        if routes["/new"]["last_activity"] > routes["/old"]["last_activity"]:
            break
    # The new route's own time: before means before, so that route is not meant.
    assert inactive(proxy, routes["/new"]["last_activity"]) == ["/old"]


def test_the_routes_come_with_their_data(proxy: RunningProxy) -> None:
    proxy.add("/a", DEAD, user="ann")
    later = quote(iso(now() + datetime.timedelta(hours=1)))
    table = json.loads(proxy.call("GET", f"/api/routes?inactiveSince={later}").body)
    assert table == proxy.routes()


@pytest.mark.parametrize(
    "since",
    ["2999-01-01", "2999-01-01T00:00Z", "2999-01-01T00:00:00+02:00", "2999-01-01T00:00:00Z"],
)
def test_shorter_iso_times_are_understood(proxy: RunningProxy, since: str) -> None:
    proxy.add("/a", DEAD)
    assert inactive(proxy, since) == ["/a"]


def test_a_utc_offset_counts(proxy: RunningProxy) -> None:
    proxy.add("/a", DEAD)
    # Half an hour ago, written in a zone where the clock shows half an hour from now on.
    zone = datetime.timezone(datetime.timedelta(hours=1))
    moment = (now() - datetime.timedelta(minutes=30)).astimezone(zone)
    assert inactive(proxy, moment.isoformat()) == []


@pytest.mark.parametrize("name", ["inactiveSince", "inactive_since"])
@pytest.mark.parametrize("since", ["yesterday", "2020-13-45", "12:00"])
def test_an_unreadable_time_is_400_with_a_message(
    proxy: RunningProxy, name: str, since: str
) -> None:
    response = proxy.call("GET", f"/api/routes?{name}={since}")
    assert response.status == 400
    assert response.body.strip()


def test_an_empty_time_returns_the_whole_table(proxy: RunningProxy) -> None:
    proxy.add("/a", DEAD)
    assert inactive(proxy, "") == ["/a"]


def test_other_parameters_are_ignored(proxy: RunningProxy) -> None:
    proxy.add("/a", DEAD)
    response = proxy.call("GET", "/api/routes?page=2&inactive=2001-01-01")
    assert list(json.loads(response.body)) == ["/a"]


def test_one_route_is_shown_however_active_it_is(proxy: RunningProxy) -> None:
    proxy.add("/a", DEAD)
    response = proxy.call("GET", "/api/routes/a?inactiveSince=2001-01-01")
    assert response.status == 200


@better("it takes a day that the calendar does not have for the next one")
def test_a_day_that_is_not_in_the_calendar_is_400(proxy: RunningProxy) -> None:
    assert proxy.call("GET", "/api/routes?inactiveSince=2023-02-30").status == 400
