"""The API's token: Authorization: token SECRET, or 403."""

import json

import pytest

from tests.contract.better import better
from tests.contract.client import Client
from tests.contract.conftest import StartProxy
from tests.contract.harness import RunningProxy
from tests.contract.polling import eventually
from tests.contract.wire import Response

SECRET = "s3cret"
BODY = json.dumps({"target": "http://127.0.0.1:9"}).encode()


@pytest.fixture
def guarded(start: StartProxy) -> RunningProxy:
    return start(env={"CONFIGPROXY_AUTH_TOKEN": SECRET})


def call(
    proxy: RunningProxy, method: str, path: str, *fields: tuple[str, str], body: bytes | None = None
) -> Response:
    with Client(proxy.api) as client:
        return client.ask(path, *fields, method=method, body=body)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/routes"),
        ("GET", "/api/routes/"),
        ("GET", "/api/routes/a"),
        ("POST", "/api/routes/b"),
        ("DELETE", "/api/routes/a"),
    ],
)
@pytest.mark.parametrize("value", [None, "token wrong", f"Basic {SECRET}", SECRET, "token", ""])
def test_without_the_right_token_the_answer_is_an_empty_403(
    guarded: RunningProxy, method: str, path: str, value: str | None
) -> None:
    guarded.add("/a", "http://127.0.0.1:9")
    fields = [] if value is None else [("Authorization", value)]
    response = call(guarded, method, path, *fields, body=BODY if method == "POST" else None)
    assert (response.status, response.body) == (403, b"")
    assert list(guarded.routes()) == ["/a"]


@pytest.mark.parametrize("value", [f"{SECRET}x", SECRET[:-1], SECRET.upper(), f"x{SECRET}"])
def test_a_token_that_is_almost_right_is_wrong(guarded: RunningProxy, value: str) -> None:
    response = call(guarded, "GET", "/api/routes", ("Authorization", f"token {value}"))
    assert response.status == 403


@pytest.mark.parametrize("value", [f"token {SECRET}", f"token   {SECRET}"])
def test_the_right_token_opens(guarded: RunningProxy, value: str) -> None:
    assert call(guarded, "GET", "/api/routes", ("Authorization", value)).status == 200


def test_the_name_of_the_field_is_read_in_any_case(guarded: RunningProxy) -> None:
    assert call(guarded, "GET", "/api/routes", ("aUTHORIZATION", f"token {SECRET}")).status == 200


@better("it knows its own scheme only")
@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_a_bearer_token_opens(guarded: RunningProxy, scheme: str) -> None:
    value = ("Authorization", f"{scheme} {SECRET}")
    assert call(guarded, "GET", "/api/routes", value).status == 200


@better("it reads the body first")
def test_a_stranger_learns_nothing_about_the_body(guarded: RunningProxy) -> None:
    assert call(guarded, "POST", "/api/routes/a", body=b"no json").status == 403


@pytest.mark.parametrize("given", [None, "token anything"])
def test_without_a_token_set_nobody_is_asked_for_one(start: StartProxy, given: str | None) -> None:
    proxy = start(env={"CONFIGPROXY_AUTH_TOKEN": ""})
    fields = [] if given is None else [("Authorization", given)]
    assert call(proxy, "POST", "/api/routes/a", *fields, body=BODY).status == 201
    assert call(proxy, "GET", "/api/routes/a", *fields).status == 200
    assert call(proxy, "DELETE", "/api/routes/a", *fields).status == 204


def test_an_api_without_a_token_is_worth_a_warning(start: StartProxy) -> None:
    proxy = start(env={"CONFIGPROXY_AUTH_TOKEN": ""})
    assert eventually(lambda: "not authenticated" in proxy.output)


def test_the_token_is_not_printed(start: StartProxy) -> None:
    proxy = start("--log-level", "debug", env={"CONFIGPROXY_AUTH_TOKEN": "Xq7-never-shown"})
    proxy.add("/a", "http://127.0.0.1:9")
    assert "Xq7-never-shown" not in proxy.output
