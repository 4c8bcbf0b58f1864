"""GET /_chp_healthz on the public port."""

import json

import pytest

from tests.contract.harness import RunningProxy
from tests.contract.target import Target


def test_it_says_ok_as_json(proxy: RunningProxy) -> None:
    response = proxy.get("/_chp_healthz")
    assert response.status == 200
    assert response.get("content-type") == "application/json"
    assert json.loads(response.body) == {"status": "OK"}


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS"])
def test_it_answers_every_method(proxy: RunningProxy, method: str) -> None:
    with proxy.connect() as client:
        assert client.ask("/_chp_healthz", method=method).status == 200


def test_it_comes_before_routing(proxy: RunningProxy, target: Target) -> None:
    proxy.add("/", target.url)
    assert json.loads(proxy.get("/_chp_healthz").body) == {"status": "OK"}
    assert not target.requests


@pytest.mark.parametrize(
    "path", ["/_chp_healthz/", "/_chp_healthz/x", "/x/_chp_healthz", "/_chp_healthz?x"]
)
def test_other_paths_are_routed(proxy: RunningProxy, target: Target, path: str) -> None:
    proxy.add("/", target.url)
    assert proxy.get(path).body == b"hello"
    assert target.paths == [path]


def test_it_needs_no_token(proxy: RunningProxy) -> None:
    assert proxy.get("/_chp_healthz", ("Authorization", "token wrong")).status == 200


def test_it_is_not_on_the_api_port(proxy: RunningProxy) -> None:
    assert proxy.call("GET", "/_chp_healthz").status == 404


def test_it_keeps_the_connection_alive(proxy: RunningProxy) -> None:
    with proxy.connect() as client:
        assert [client.ask("/_chp_healthz").status for _ in range(2)] == [200, 200]
