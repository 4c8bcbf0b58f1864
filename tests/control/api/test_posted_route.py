"""Bodies at the edges of what is taken."""

import json
from typing import Any

import pytest

from hubgate.control.api.posted_route import MAX_DEPTH, posted_route, read_data, read_options
from hubgate.errors import RouteError
from hubgate.model import ForwardRules, Route, RouteOptions, Source


def nested(depth: int) -> bytes:
    """A body whose objects and lists are `depth` deep in all."""
    inner: Any = "core"
    for level in range(depth - 1):
        inner = [inner] if level % 2 else {"in": inner}
    return json.dumps({"target": "http://127.0.0.1:1", "x": inner}).encode()


def test_data_may_nest_up_to_the_limit() -> None:
    assert "x" in read_data(nested(MAX_DEPTH))
    with pytest.raises(RouteError, match="deep"):
        read_data(nested(MAX_DEPTH + 1))


@pytest.mark.parametrize("depth", [1_000, 100_000])
def test_data_far_over_the_limit_is_refused_alike(depth: int) -> None:
    opening = b'{"target": "http://127.0.0.1:1", "x": ' + b'{"in": ' * depth
    with pytest.raises(RouteError, match="deep"):
        read_data(opening + b"1" + b"}" * depth + b"}")


def test_everything_json_has_is_kept() -> None:
    data = {
        "target": "http://127.0.0.1:1",
        "numbers": [0, -1, 1.5, 10**30],
        "text": "é\u2028\U0001f600\0",
        "rest": [True, False, None, {}, []],
    }
    assert read_data(json.dumps(data).encode()) == data


@pytest.mark.parametrize("number", ["1" * 5000, "-" + "1" * 5000, "1" * 5000 + ".0"])
def test_a_number_is_limited_in_our_words(number: str) -> None:
    with pytest.raises(RouteError, match=r"not valid JSON: -?1+\.\.\. (has more|is too)") as raised:
        read_data(b'{"target": "http://127.0.0.1:1", "x": ' + number.encode() + b"}")
    assert len(str(raised.value)) < 200


def test_a_repeated_key_has_its_last_value() -> None:
    assert read_data(b'{"target": "a", "target": "b"}') == {"target": "b"}


@pytest.mark.parametrize(
    "target",
    ["http://127.0.0.1:1", "https://[::1]:1/base", "http+unix://%2Frun%2Fs", "unix+http://%2Fs"],
)
def test_targets_of_every_kind_are_taken(target: str) -> None:
    assert read_options({"target": target}) == RouteOptions()


@pytest.mark.parametrize("data", [{}, {"target": None}, {"target": 1}, {"target": ["x"]}])
def test_a_route_needs_a_string_target(data: dict[str, object]) -> None:
    with pytest.raises(RouteError, match="target"):
        posted_route(json.dumps(data).encode(), "/a", ForwardRules())


def test_a_posted_route_is_the_apis_and_holds_all_that_was_posted() -> None:
    data = {"target": "http://127.0.0.1:1", "strip_prefix": True, "user": "a"}
    route = posted_route(json.dumps(data).encode(), "/a", ForwardRules(native_routes=True))
    options = RouteOptions(strip_prefix=True)
    assert route == Route("/a", "http://127.0.0.1:1", data, options, Source.API)


def test_options_are_data_like_any_other_where_chp_rules_hold() -> None:
    body = json.dumps({"target": "http://x", "strip_prefix": "maybe"}).encode()
    assert posted_route(body, "/a", ForwardRules()).options == RouteOptions()


@pytest.mark.parametrize(("key", "host"), [("/hub.example.org/a", "hub.example.org"), ("/", None)])
def test_host_routing_notes_the_host(key: str, host: str | None) -> None:
    route = posted_route(b'{"target": "http://x"}', key, ForwardRules(host_routing=True))
    assert route.data.get("host") == host
