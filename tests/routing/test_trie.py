"""Longest prefix by whole segments, checked against a reference that is too simple to be wrong."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubgate.routing.trie import Trie


def trie_of(*paths: str) -> Trie[str]:
    trie: Trie[str] = Trie()
    for path in paths:
        trie[path] = path
    return trie


def segments(path: str) -> list[str]:
    stripped = path.strip("/")
    return stripped.split("/") if stripped else []


def reference(paths: dict[str, str], path: str) -> str | None:
    """Look at every key: the longest one whose segments begin the path's segments."""
    wanted = segments(path)
    fitting = [key for key in paths if wanted[: len(segments(key))] == segments(key)]
    return paths[max(fitting, key=lambda key: len(segments(key)))] if fitting else None


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "/"),
        ("/x", "/"),
        ("/user", "/"),
        ("/user/al", "/user/al"),
        ("/user/al/", "/user/al"),
        ("/user/al/lab/tree", "/user/al"),
        ("/user/alice", "/user/alice"),
        ("/user/alice/api", "/user/alice/api"),
        ("/user/alice/apix", "/user/alice"),
        ("/user/alicex", "/"),
        ("/User/alice", "/"),
        ("user/alice", "/user/alice"),
        ("//user/alice", "/user/alice"),
        ("/user//alice", "/"),
        ("", "/"),
    ],
)
def test_the_longest_prefix_of_whole_segments_wins(path: str, expected: str) -> None:
    trie = trie_of("/", "/user/al", "/user/alice", "/user/alice/api")

    assert trie.match(path) == expected


def test_without_a_root_there_may_be_no_match() -> None:
    trie = trie_of("/a/b")

    assert trie.match("/") is None
    assert trie.match("/a") is None
    assert trie.match("/a/bb") is None
    assert Trie[str]().match("/a") is None


def test_an_empty_segment_between_slashes_is_a_segment() -> None:
    trie = trie_of("/a//b")

    assert trie.match("/a//b/c") == "/a//b"
    assert trie.match("/a/b") is None


def test_what_keys_begin_with() -> None:
    trie: Trie[str] = Trie()
    trie["/a/b"] = "1"
    assert (trie.begins("a"), trie.begins("b")) == (True, False)
    trie.discard("/a/b")
    assert not trie.begins("a")


def test_a_value_is_replaced() -> None:
    trie = trie_of("/a")
    trie["/a/"] = "new"

    assert trie.match("/a") == "new"


def test_discarding_leaves_prefixes_and_longer_keys() -> None:
    trie = trie_of("/a", "/a/b", "/a/b/c")
    trie.discard("/a/b")

    assert trie.match("/a/b") == "/a"
    assert trie.match("/a/b/c/d") == "/a/b/c"


@pytest.mark.parametrize("path", ["/", "/a/b", "/a/x", "/b", "/a/b/c/d"])
def test_discarding_what_is_not_there_changes_nothing(path: str) -> None:
    trie = trie_of("/a", "/a/b/c")
    trie.discard(path)

    assert trie.match("/a") == "/a"
    assert trie.match("/a/b/c") == "/a/b/c"


def test_the_root_can_be_discarded_and_come_back() -> None:
    trie = trie_of("/", "/a")
    trie.discard("/")
    assert trie.match("/b") is None
    assert trie.match("/a") == "/a"

    trie["/"] = "again"
    assert trie.match("/b") == "again"


def test_discarded_keys_leave_no_nodes_behind() -> None:
    trie = trie_of("/a/b/c/d", "/a/x")
    trie.discard("/a/b/c/d")
    trie.discard("/a/x")

    assert not trie._root
    assert len(trie) == 0


def test_a_value_that_nothing_is_below_any_more_costs_no_node() -> None:
    trie = trie_of("/a", "/a/b/c", "/x/y")
    trie.discard("/a/b/c")
    trie.discard("/x/y")

    assert trie._root == {"a": "/a"}


def test_very_deep_keys_and_paths() -> None:
    deep = "/" + "/".join(map(str, range(5000)))
    trie = trie_of("/", deep)

    assert trie.match(deep) == deep
    assert trie.match(deep + "/further") == deep
    assert trie.match("/" + "/".join(map(str, range(4999)))) == "/"
    trie.discard(deep)
    assert trie.match(deep) == "/"


def test_a_path_of_nothing_but_slashes_is_the_root() -> None:
    assert trie_of("/", "/a").match("/" * 60000) == "/"
    assert trie_of("/", "/a").match("/" * 60000 + "a") == "/a"
    assert trie_of("/", "/a").match("/a" + "/" * 60000 + "b") == "/a"


PATHS = st.lists(st.sampled_from(["a", "b", "aa", "é", "@", " ", ""]), max_size=5).map(
    lambda parts: "/" + "/".join(parts)
)


@given(st.lists(st.tuples(st.booleans(), PATHS)), st.lists(PATHS, min_size=1))
def test_any_history_matches_like_the_reference(
    history: list[tuple[bool, str]], asked: list[str]
) -> None:
    trie: Trie[str] = Trie()
    kept: dict[str, str] = {}
    for number, (put, path) in enumerate(history):
        key = path.strip("/")
        if put:
            trie[path] = kept[key] = f"{path} {number}"
        else:
            trie.discard(path)
            kept.pop(key, None)

    assert len(trie) == len(kept)
    for path in asked:
        found, key = trie.match(path), trie.longest(path)
        assert found == reference(kept, path)
        assert found == (None if key is None else kept[key.strip("/")])
        assert trie.get(path) == kept.get(path.strip("/"))


def test_ten_thousand_routes_match_like_the_reference() -> None:
    chance = random.Random(8000)

    def path(deepest: int) -> str:
        return "/" + "/".join(str(chance.randrange(12)) for _ in range(chance.randint(0, deepest)))

    keys = {path(6) for _ in range(40000)}
    trie = trie_of(*keys)
    gone = set(chance.sample(sorted(keys), len(keys) // 10))
    for key in gone:
        trie.discard(key)
    kept = keys - gone
    assert len(kept) > 10000

    for _ in range(5000):
        asked = path(9)
        parts = segments(asked)
        prefixes = ["/" + "/".join(parts[:end]) for end in range(len(parts), -1, -1)]
        expected = next((prefix for prefix in prefixes if prefix in kept), None)
        assert trie.match(asked) == expected
