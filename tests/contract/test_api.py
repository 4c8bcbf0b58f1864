"""The REST API at /api/routes: reading the table, and what it does not answer."""

import datetime
import json
from typing import Any

import pytest

from tests.contract.better import better
from tests.contract.client import Client
from tests.contract.harness import RunningProxy

DEAD = "http://127.0.0.1:9"


def get(proxy: RunningProxy, path: str) -> Any:
    """GET from the API what has to be there."""
    response = proxy.call("GET", f"/api/routes{path}")
    assert response.status == 200
    return json.loads(response.body)


def test_no_routes_are_an_empty_object(proxy: RunningProxy) -> None:
    assert get(proxy, "") == {}


@pytest.mark.parametrize("path", ["", "/"])
def test_the_table_maps_paths_to_data(proxy: RunningProxy, path: str) -> None:
    proxy.add("/a", DEAD)
    proxy.add("/b/c", f"{DEAD}/x", user="bob")
    table = get(proxy, path)
    assert {key: data["target"] for key, data in table.items()} == {
        "/a": DEAD,
        "/b/c": f"{DEAD}/x",
    }
    assert table["/b/c"]["user"] == "bob"


@pytest.mark.parametrize("path", ["", "/a"])
def test_answers_are_json(proxy: RunningProxy, path: str) -> None:
    proxy.add("/a", DEAD)
    kind = proxy.call("GET", f"/api/routes{path}").get("content-type")
    assert kind is not None
    assert kind.split(";")[0] == "application/json"


def test_one_route_is_its_data(proxy: RunningProxy) -> None:
    proxy.add("/a/b", DEAD, user="ann", jupyterhub=True)
    data = get(proxy, "/a/b")
    assert data.pop("last_activity")
    assert data == {"target": DEAD, "user": "ann", "jupyterhub": True}


@pytest.mark.parametrize("path", ["/a", "/a/b/c", "/b", "/a/B"])
def test_one_route_is_found_by_its_exact_path_only(proxy: RunningProxy, path: str) -> None:
    proxy.add("/a/b", DEAD)
    assert proxy.call("GET", f"/api/routes{path}").status == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *((method, path) for method in ("OPTIONS", "HEAD") for path in ("", "/", "/a")),
        *(("PUT", "/a"), ("PATCH", "/a")),
    ],
)
def test_another_method_is_405(proxy: RunningProxy, method: str, path: str) -> None:
    proxy.add("/a", DEAD)
    assert proxy.call(method, f"/api/routes{path}").status == 405


@better("it has no call for many routes")
@pytest.mark.parametrize("path", ["", "/"])
def test_many_routes_are_changed_by_one_call(proxy: RunningProxy, path: str) -> None:
    patch = json.dumps({"/a": {"target": DEAD}, "/b": {"target": DEAD}}).encode()
    assert proxy.call("PATCH", f"/api/routes{path}", patch).status == 200
    assert set(json.loads(proxy.call("GET", "/api/routes").body)) >= {"/a", "/b"}


@pytest.mark.parametrize("path", ["/x", "/api", "/api/", "/api/routesx", "/api/users", "/metrics"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_path_is_404(proxy: RunningProxy, method: str, path: str) -> None:
    assert proxy.call(method, path, b"{}" if method == "POST" else None).status == 404


@better("it never answers", hangs=True)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_path_that_cannot_be_decoded_is_400(proxy: RunningProxy, method: str) -> None:
    body = json.dumps({"target": DEAD}).encode() if method == "POST" else None
    assert proxy.call(method, "/api/routes/%zz", body).status == 400


def test_the_api_is_not_on_the_public_port(proxy: RunningProxy) -> None:
    assert proxy.get("/api/routes", ("Authorization", f"token {proxy.token}")).status == 404


def test_a_connection_to_the_api_is_kept_alive(proxy: RunningProxy) -> None:
    fields = ("Authorization", f"token {proxy.token}")
    with Client(proxy.api) as client:
        assert [client.ask("/api/routes", fields).status for _ in range(3)] == [200, 200, 200]


def test_a_large_table_is_returned_whole(proxy: RunningProxy) -> None:
    filler = "x" * 20000
    for number in range(30):
        proxy.add(f"/large/{number}", DEAD, filler=filler)
    table = get(proxy, "")
    assert len(table) == 30
    assert all(data["filler"] == filler for data in table.values())


def test_adding_starts_the_activity_at_the_time_of_adding(proxy: RunningProxy) -> None:
    before = datetime.datetime.now(datetime.UTC)
    proxy.add("/a", DEAD)
    after = datetime.datetime.now(datetime.UTC)
    added = datetime.datetime.fromisoformat(get(proxy, "/a")["last_activity"])
    millisecond = datetime.timedelta(milliseconds=1)
    # It is given in whole milliseconds: cut by CHP, rounded by us.
    assert before - millisecond <= added <= after + millisecond / 2


def test_adding_again_counts_as_activity(proxy: RunningProxy) -> None:
    proxy.add("/a", DEAD)
    first = get(proxy, "/a")["last_activity"]
    while get(proxy, "/a")["last_activity"] == first:
        proxy.add("/a", DEAD)
    assert get(proxy, "/a")["last_activity"] > first


def test_activity_is_not_taken_from_the_data_posted(proxy: RunningProxy) -> None:
    proxy.add("/a", DEAD, last_activity="2001-01-01T00:00:00.000Z")
    assert get(proxy, "/a")["last_activity"] > "2020"
