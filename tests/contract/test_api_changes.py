"""The REST API at /api/routes: adding and removing routes."""

import json
from typing import Any

import pytest

from tests.contract.better import better
from tests.contract.client import Client
from tests.contract.harness import RunningProxy
from tests.contract.wire import Response

DEAD = "http://127.0.0.1:9"


def post(proxy: RunningProxy, path: str, data: Any) -> Response:
    """POST `data` as JSON to the API."""
    return proxy.call("POST", f"/api/routes{path}", json.dumps(data).encode())


def get(proxy: RunningProxy, path: str) -> Any:
    """GET from the API what has to be there."""
    response = proxy.call("GET", f"/api/routes{path}")
    assert response.status == 200
    return json.loads(response.body)


def test_adding_answers_201_without_a_body(proxy: RunningProxy) -> None:
    response = post(proxy, "/a", {"target": DEAD})
    assert (response.status, response.body) == (201, b"")


def test_other_keys_are_kept_as_they_are(proxy: RunningProxy) -> None:
    extra = {
        "jupyterhub": True,
        "user": "Zoë",
        "nested": {"list": [1, 2.5, None, "x"], "empty": {}},
        "": "no name",
    }
    post(proxy, "/a", {"target": DEAD, **extra})
    assert {key: get(proxy, "/a")[key] for key in extra} == extra


def test_adding_again_replaces_all_data(proxy: RunningProxy) -> None:
    proxy.add("/a", DEAD, user="ann", note="old")
    assert post(proxy, "/a", {"target": f"{DEAD}/new", "user": "bob"}).status == 201
    data = get(proxy, "/a")
    assert data["target"] == f"{DEAD}/new"
    assert data["user"] == "bob"
    assert "note" not in data


@pytest.mark.parametrize("path", ["", "/"])
def test_adding_without_a_path_adds_the_root_route(proxy: RunningProxy, path: str) -> None:
    assert post(proxy, path, {"target": DEAD}).status == 201
    assert list(get(proxy, "")) == ["/"]


def test_the_root_route_is_removed_as_a_slash(proxy: RunningProxy) -> None:
    proxy.add("/", DEAD)
    assert proxy.call("DELETE", "/api/routes/").status == 204
    assert get(proxy, "") == {}


@better("it never answers", hangs=True)
def test_removing_without_a_path_removes_the_root_route(proxy: RunningProxy) -> None:
    proxy.add("/", DEAD)
    assert proxy.call("DELETE", "/api/routes").status == 204
    assert get(proxy, "") == {}


@pytest.mark.parametrize(
    ("posted", "stored"),
    [
        ("/user/ann/", "/user/ann"),
        ("/user/a%40b", "/user/a@b"),
        ("/user/Zo%C3%AB", "/user/Zoë"),
        ("/user/the%20boss", "/user/the boss"),
        ("/user/100%25", "/user/100%"),
        ("/user/a%2Fb", "/user/a/b"),
    ],
)
def test_paths_are_stored_decoded_without_a_trailing_slash(
    proxy: RunningProxy, posted: str, stored: str
) -> None:
    assert post(proxy, posted, {"target": DEAD}).status == 201
    assert list(get(proxy, "")) == [stored]


@pytest.mark.parametrize("path", ["/user/a@b", "/user/a%40b", "/user/a%40b/"])
def test_every_spelling_of_a_path_names_the_same_route(proxy: RunningProxy, path: str) -> None:
    proxy.add("/user/a@b", DEAD)
    assert get(proxy, path)["target"] == DEAD
    assert proxy.call("DELETE", f"/api/routes{path}").status == 204
    assert get(proxy, "") == {}


def test_removing_answers_204_without_a_body(proxy: RunningProxy) -> None:
    proxy.add("/a", DEAD)
    response = proxy.call("DELETE", "/api/routes/a")
    assert (response.status, response.body) == (204, b"")
    assert get(proxy, "") == {}


def test_removing_what_is_not_there_is_404(proxy: RunningProxy) -> None:
    assert proxy.call("DELETE", "/api/routes/a").status == 404


def test_removing_takes_the_exact_route_only(proxy: RunningProxy) -> None:
    for path in ("/a", "/a/b", "/a/b/c"):
        proxy.add(path, DEAD)
    proxy.remove("/a/b")
    assert sorted(get(proxy, "")) == ["/a", "/a/b/c"]


@pytest.mark.parametrize("body", [b"", b"target=x", b'{"target": ', b"\xff\xfe"])
def test_a_body_that_is_no_json_is_400_with_a_message(proxy: RunningProxy, body: bytes) -> None:
    response = proxy.call("POST", "/api/routes/a", body)
    assert response.status == 400
    assert response.body.strip()
    assert get(proxy, "") == {}


@pytest.mark.parametrize(
    "data",
    [{}, {"target": None}, {"target": 9001}, {"target": ["http://x"]}, [], ["x"], "x", 1, None],
)
def test_a_body_without_a_target_is_400_with_a_message(proxy: RunningProxy, data: Any) -> None:
    response = post(proxy, "/a", data)
    assert response.status == 400
    assert b"target" in response.body
    assert get(proxy, "") == {}


def test_a_refused_change_leaves_the_route_as_it_was(proxy: RunningProxy) -> None:
    proxy.add("/a", DEAD, user="ann")
    before = get(proxy, "/a")
    assert post(proxy, "/a", {"user": "bob"}).status == 400
    assert get(proxy, "/a") == before


@pytest.mark.parametrize("kind", ["application/json", "text/plain", None])
def test_the_content_type_of_a_change_does_not_matter(
    proxy: RunningProxy, kind: str | None
) -> None:
    fields = [("Authorization", f"token {proxy.token}")]
    fields += [("Content-Type", kind)] if kind else []
    body = json.dumps({"target": DEAD}).encode()
    with Client(proxy.api) as client:
        assert client.ask("/api/routes/a", *fields, method="POST", body=body).status == 201


def test_a_change_may_come_chunked(proxy: RunningProxy) -> None:
    body = b'5\r\n{"tar\r\n%x\r\n%b\r\n0\r\n\r\n'
    rest = f'get": "{DEAD}"}}'.encode()
    with Client(proxy.api) as client:
        response = client.ask(
            "/api/routes/a",
            ("Authorization", f"token {proxy.token}"),
            ("Transfer-Encoding", "chunked"),
            method="POST",
            body=body % (len(rest), rest),
        )
    assert response.status == 201
    assert get(proxy, "/a")["target"] == DEAD
