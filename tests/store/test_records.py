"""A route comes back from its text as it was."""

import json

import pytest

from hubgate.model import Route, RouteOptions
from hubgate.store.records import decode, encode

TARGET = "http://127.0.0.1:9001"


@pytest.mark.parametrize(
    "posted",
    [
        '{"target": "x", "jupyterhub": true, "user": "é😀", "nested": {"a": [1, 2.5, null, {}]}}',
        '{"z": 1, "target": "x", "a": 1.0, "big": 123456789012345678901234567890, "tiny": 5e-324}',
        '{"target": "x", "half": "\\ud800", "\\udc00": "", "zero": "\\u0000", "minus": -0.0}',
        '{"target": "x", "last_activity": "mine", "key": "other", "options": {"headers": 1}}',
    ],
)
def test_data_is_what_was_posted_to_the_letter(posted: str) -> None:
    route = Route("/a", "x", json.loads(posted))
    data, options = encode(route)
    assert data.isascii()
    again = decode("/a", data, options)
    assert again == route
    assert json.dumps(dict(again.data)) == json.dumps(json.loads(posted))


def test_options_come_back() -> None:
    options = RouteOptions(True, (("X-Team", "physics"), ("X-Other", "ü")))
    route = Route("hub.example.org/a", TARGET, {"target": TARGET}, options)
    assert decode(route.key, *encode(route)) == route


@pytest.mark.parametrize(
    ("data", "options"),
    [
        ("{", "{}"),
        ("[]", '{"strip_prefix": false, "headers": []}'),
        ("{}", '{"strip_prefix": false, "headers": []}'),
        ('{"target": 1}', '{"strip_prefix": false, "headers": []}'),
        ('{"target": "x"}', "{}"),
        ('{"target": "x"}', '{"strip_prefix": false, "headers": [1]}'),
        ('{"target": "x"}', '{"strip_prefix": false, "headers": [["a"]]}'),
    ],
)
def test_any_other_text_is_a_value_error(data: str, options: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  its text is the JSON reader's
        decode("/a", data, options)
