"""Which path the target gets: the raw one behind the target's own, or parts of it."""

import pytest

from tests.contract.better import better
from tests.contract.conftest import StartProxy
from tests.contract.harness import RunningProxy
from tests.contract.target import Target


def forwarded(proxy: RunningProxy, target: Target, path: str) -> str:
    """Request `path` and return the path the target got."""
    assert proxy.get(path).status == 200
    return target.last.path


@pytest.mark.parametrize(
    "rest",
    [
        "/a/b.html",
        "/a%20b",
        "/a%2Fb",
        "/%C3%AB",
        "/%c3%ab",
        "/a;v=1,2/~x!$&'()*+:@-._=",
        "//double///slashes/",
        "/trailing/",
        "/trailing",
        "/%7Etilde",
    ],
)
def test_the_path_goes_through_raw(proxy: RunningProxy, target: Target, rest: str) -> None:
    proxy.add("/user/alice", target.url)
    assert forwarded(proxy, target, f"/user/alice{rest}") == f"/user/alice{rest}"


@pytest.mark.parametrize(
    "query",
    ["a=1&b=2", "x=%20+%2F&y=%C3%AB", "novalue", "a==b&&c", "next=http://h/x?y=/z", "a=1?b"],
)
def test_the_query_goes_through_raw(proxy: RunningProxy, target: Target, query: str) -> None:
    proxy.add("/user/alice", target.url)
    assert forwarded(proxy, target, f"/user/alice/x?{query}") == f"/user/alice/x?{query}"


@better("it encodes characters that URLs should not have, though servers accept them")
@pytest.mark.parametrize("rest", ['/a"b', "/{id}", "/x?q='a'", "/x?q=<b>", "/x?"])
def test_unusual_characters_go_through_raw(proxy: RunningProxy, target: Target, rest: str) -> None:
    proxy.add("/user/alice", target.url)
    assert forwarded(proxy, target, f"/user/alice{rest}") == f"/user/alice{rest}"


def test_an_encoded_prefix_goes_through_raw(proxy: RunningProxy, target: Target) -> None:
    proxy.add("/user/a@b", target.url)
    assert forwarded(proxy, target, "/user/a%40b/x") == "/user/a%40b/x"


@pytest.mark.parametrize(
    ("base", "asked", "expected"),
    [
        ("", "/user/x", "/user/x"),
        ("/", "/user/x", "/user/x"),
        ("/base", "/user/x", "/base/user/x"),
        ("/base/", "/user/x", "/base/user/x"),
        ("/base/deep", "/user/", "/base/deep/user/"),
        ("/base", "/user", "/base/user"),
        ("/base", "/user?q=1", "/base/user?q=1"),
        ("/b%20c", "/user/%20", "/b%20c/user/%20"),
    ],
)
def test_the_targets_path_comes_first(
    proxy: RunningProxy, target: Target, base: str, asked: str, expected: str
) -> None:
    proxy.add("/user", target.url + base)
    assert forwarded(proxy, target, asked) == expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [("/user/x", "/base/user/x?token=1"), ("/user/x?a=2", "/base/user/x?token=1&a=2")],
)
def test_the_targets_query_comes_first(
    proxy: RunningProxy, target: Target, asked: str, expected: str
) -> None:
    proxy.add("/user", f"{target.url}/base?token=1")
    assert forwarded(proxy, target, asked) == expected


@pytest.mark.parametrize(
    ("asked", "expected"), [("/", "/base/"), ("/x/", "/base/x/"), ("/?q", "/base/?q")]
)
def test_the_targets_path_comes_first_for_the_root_route(
    proxy: RunningProxy, target: Target, asked: str, expected: str
) -> None:
    proxy.add("/", f"{target.url}/base")
    assert forwarded(proxy, target, asked) == expected


@pytest.mark.parametrize("base", ["", "/", "/base", "/base/?token=1"])
def test_no_prepend_path_drops_the_targets_path(
    start: StartProxy, target: Target, base: str
) -> None:
    proxy = start("--no-prepend-path")
    proxy.add("/user", target.url + base)
    assert forwarded(proxy, target, "/user/x?y=1") == "/user/x?y=1"


@pytest.mark.parametrize(
    ("base", "asked", "expected"),
    [
        ("", "/user/alice/x?y=1", "/x?y=1"),
        ("", "/user/alice/", "/"),
        ("", "/user/alice", "/"),
        ("", "/user/alice?y=1", "/?y=1"),
        ("/base", "/user/alice/x", "/base/x"),
        ("/base/", "/user/alice/x", "/base/x"),
        ("/base", "/user/alice/", "/base/"),
        ("/base", "/user/alice", "/base"),
        ("", "/user/alice/a%20b//c", "/a%20b//c"),
    ],
)
def test_no_include_prefix_drops_the_prefix(
    start: StartProxy, target: Target, base: str, asked: str, expected: str
) -> None:
    proxy = start("--no-include-prefix")
    proxy.add("/user/alice", target.url + base)
    assert forwarded(proxy, target, asked) == expected


@pytest.mark.parametrize("path", ["/", "/x", "/x/?y"])
def test_no_include_prefix_has_nothing_to_drop_from_the_root_route(
    start: StartProxy, target: Target, path: str
) -> None:
    proxy = start("--no-include-prefix")
    proxy.add("/", target.url)
    assert forwarded(proxy, target, path) == path


@better("it cuts off as many characters as the decoded prefix has")
def test_no_include_prefix_drops_a_prefix_that_came_encoded(
    start: StartProxy, target: Target
) -> None:
    proxy = start("--no-include-prefix")
    proxy.add("/user/a@b", target.url)
    assert forwarded(proxy, target, "/user/a%40b/x%20y?z") == "/x%20y?z"


@pytest.mark.parametrize(
    ("asked", "expected"), [("/user/alice/x?y=1", "/x?y=1"), ("/user/alice", "/")]
)
def test_both_flags_leave_the_rest_alone(
    start: StartProxy, target: Target, asked: str, expected: str
) -> None:
    proxy = start("--no-include-prefix", "--no-prepend-path")
    proxy.add("/user/alice", f"{target.url}/base")
    assert forwarded(proxy, target, asked) == expected
