"""What was posted with a route reads like the dict it was."""

import json

import pytest

from hubgate.model import RouteData

POSTED = {"target": "http://h", "user": "\u00e9 \U0001f600", "nested": {"a": [1, 2.5, None]}}


def test_it_is_the_mapping_that_it_was_made_of() -> None:
    data = RouteData.of(POSTED)
    assert data == POSTED
    assert data == POSTED
    assert dict(data) == POSTED
    assert list(data) == list(POSTED)
    assert len(data) == 3
    assert data["nested"] == {"a": [1, 2.5, None]}
    assert data.get("missing") is None
    assert data != {"target": "http://h"}
    assert data != "text"


def test_its_text_is_json_in_ascii() -> None:
    text = RouteData.of(POSTED).text
    assert text.isascii()
    assert json.loads(text) == POSTED
    assert RouteData(text) == RouteData.of(POSTED)
    assert RouteData(text) != RouteData.of({"target": "x"})
    assert RouteData('{"target": "x"}') == RouteData('{"target":"x"}')


def test_it_is_taken_as_it_is_when_it_is_text_already() -> None:
    data = RouteData.of(POSTED)
    assert RouteData.of(data) is data


def test_it_has_no_hash_as_a_dict_has_none() -> None:
    with pytest.raises(TypeError):
        hash(RouteData.of(POSTED))
