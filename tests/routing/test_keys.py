"""One spelling for each route."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubgate.errors import RouteError
from hubgate.routing.keys import (
    clean_host,
    clean_key,
    clean_path,
    is_usual_key,
    join_key,
    split_key,
)


@pytest.mark.parametrize(
    ("path", "cleaned"),
    [
        ("", "/"),
        ("/", "/"),
        ("//", "/"),
        ("a", "/a"),
        ("/a", "/a"),
        ("/a/", "/a"),
        ("//a//", "/a"),
        ("/a//b", "/a//b"),
        ("/a b/é", "/a b/é"),
    ],
)
def test_a_path_has_one_leading_slash_and_no_trailing_one(path: str, cleaned: str) -> None:
    assert clean_path(path) == cleaned


@given(st.text(alphabet="/ab"))
def test_cleaning_a_path_again_changes_nothing(path: str) -> None:
    assert clean_path(clean_path(path)) == clean_path(path)


@pytest.mark.parametrize(
    ("host", "cleaned"),
    [
        ("hub", "hub"),
        ("Hub.Example.ORG", "hub.example.org"),
        ("hub.example.org.", "hub.example.org"),
        ("10.0.0.1", "10.0.0.1"),
        ("[::1]", "[::1]"),
        ("[2001:DB8:0::1]", "[2001:db8::1]"),
        ("under_score.example", "under_score.example"),
        (".Hub.Example.org.", ".hub.example.org"),
    ],
)
def test_a_host_is_spelled_as_requests_are_matched_on_it(host: str, cleaned: str) -> None:
    assert clean_host(host) == cleaned


@pytest.mark.parametrize(
    "host", ["", ".", "hub:80", "a b", "-a", "::1", "[::1", "[x]", "é", "a/b", "..a", ".[::1]"]
)
def test_what_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(RouteError, match="bad host"):
        clean_host(host)


@pytest.mark.parametrize(
    ("key", "cleaned"),
    [
        ("/a/", "/a"),
        ("", "/"),
        ("Hub.Example.org", "hub.example.org/"),
        ("hub.example.org/", "hub.example.org/"),
        ("hub.example.org//a/", "hub.example.org/a"),
        (".hub.example.org", ".hub.example.org/"),
    ],
)
def test_a_key_is_a_path_behind_its_host(key: str, cleaned: str) -> None:
    assert clean_key(key) == cleaned
    assert clean_key(cleaned) == cleaned
    assert join_key(*split_key(cleaned)) == cleaned


@given(st.text(st.sampled_from("/ab.~@- %é"), max_size=9))
def test_a_usual_key_is_clean_and_has_no_dots_for_segments(key: str) -> None:
    if is_usual_key(key):
        assert clean_key(key) == key
        assert not {".", "..", ""}.intersection(key[1:].split("/"))


@pytest.mark.parametrize("key", ["/user/alice", "/user/alice@example.org/lab", "/a"])
def test_keys_of_people_are_usual(key: str) -> None:
    assert is_usual_key(key)


@pytest.mark.parametrize("key", ["", "/", "/a/", "//a", "/a/.", "/a/..", "/.a", "a", "h/a", "/a\n"])
def test_what_needs_a_closer_look_is_not(key: str) -> None:
    assert not is_usual_key(key)
