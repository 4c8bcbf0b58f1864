"""From the raw request target to what is matched and what is forwarded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubgate.errors import BadRequestError
from hubgate.routing.paths import drop_segments, match_path, resolve_dots


def matched(target: str) -> str:
    """Return the path that routes are matched on, by the way a request goes."""
    return match_path(resolve_dots(target.encode("latin-1")).decode("latin-1"))


# What configurable-http-proxy 5.3 matches its routes on: the pathname of a WHATWG URL, then
# percent-decoded.
@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/", "/"),
        ("/a", "/a"),
        ("/a/", "/a/"),
        ("/a//b", "/a//b"),
        ("/a%40b", "/a@b"),
        ("/a@b", "/a@b"),
        ("/a%2Fb", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/%2e%2e/b", "/b"),
        ("/a/%2E%2e/b", "/b"),
        ("/a/.%2e/b", "/b"),
        ("/a/%2e./b", "/b"),
        ("/a/./b", "/a/b"),
        ("/a/%2e/b", "/a/b"),
        ("/a/..", "/"),
        ("/a/.", "/a/"),
        ("/a/b/..", "/a/"),
        ("/a/b/c/../../d", "/a/d"),
        ("/..", "/"),
        ("/.", "/"),
        ("/./", "/"),
        ("/../..", "/"),
        ("/../a", "/a"),
        ("/%2e%2e/a", "/a"),
        ("/a/...", "/a/..."),
        ("/a/..b", "/a/..b"),
        ("/a/b../c", "/a/b../c"),
        ("/.a", "/.a"),
        ("/a/.../..", "/a/"),
        ("/a//../b", "/a/b"),
        ("/a/b//..//c", "/a/b//c"),
        ("/a\\b", "/a/b"),
        ("/a\\..\\b", "/b"),
        ("/a%5Cb", "/a\\b"),
        ("/a?b/../c", "/a"),
        ("/a/..?x", "/"),
        ("/a/../?x=/../", "/"),
        ("/%75ser/x", "/user/x"),
        ("/%C3%A9", "/é"),
        ("/a%252e%252e/b", "/a%2e%2e/b"),
        ("/a;b/c", "/a;b/c"),
        ("/a/..;/b", "/a/..;/b"),
        ("/a%3Fb", "/a?b"),
        ("/a%23b", "/a#b"),
        ("/a+b", "/a+b"),
    ],
)
def test_paths_are_read_as_chp_reads_them(target: str, path: str) -> None:
    assert matched(target) == path


def test_two_leading_slashes_are_no_host() -> None:
    # CHP takes `//user/a` for a URL without a scheme and matches `/a`: what stands in the host's
    # place would go to the target unseen.
    assert matched("//user/a") == "//user/a"


@pytest.mark.parametrize(
    "target", ["/%", "/a%", "/a%4", "/%zz", "/a%4g/b", "/%%34", "/%ff", "/%c3"]
)
def test_what_cannot_be_decoded_is_refused(target: str) -> None:
    with pytest.raises(BadRequestError):
        matched(target)


def test_a_query_is_never_decoded() -> None:
    assert matched("/a?%zz%ff/../b") == "/a"


@pytest.mark.parametrize(
    ("target", "forwarded"),
    [
        (b"/a%40b/%7Ec?d=%41", b"/a%40b/%7Ec?d=%41"),
        (b"/a/../b%40?c=/../", b"/b%40?c=/../"),
        (b"/a/%2e%2e/b?", b"/b?"),
        (b"/a//b", b"/a//b"),
        (b"//a/./b", b"//a/b"),
        (b"/a/..", b"/"),
        (b"/a/b/.", b"/a/b/"),
        (b"/a\\..\\b", b"/b"),
        (b"/a?x\\y", b"/a?x\\y"),
        (b"/a?%2e%2e/..", b"/a?%2e%2e/.."),
    ],
)
def test_only_dot_segments_are_resolved_in_what_is_forwarded(
    target: bytes, forwarded: bytes
) -> None:
    assert resolve_dots(target) == forwarded


RAW = st.text(alphabet="/.ab%2eE5cC\\?", max_size=24).map(lambda text: ("/" + text).encode())


@given(RAW)
def test_resolving_dots_again_changes_nothing(target: bytes) -> None:
    once = resolve_dots(target)

    assert resolve_dots(once) == once
    assert once.startswith(b"/")


@given(RAW)
def test_no_dot_segment_survives(target: bytes) -> None:
    path = resolve_dots(target).partition(b"?")[0]

    decoded = path.lower().replace(b"%2e", b".").split(b"/")
    assert b".." not in decoded
    assert b"." not in decoded


@given(RAW)
def test_the_query_stays_as_it_came(target: bytes) -> None:
    assert resolve_dots(target).partition(b"?")[1:] == target.partition(b"?")[1:]


@pytest.mark.parametrize(
    ("target", "count", "left"),
    [
        (b"/a/b/c", 0, b"/a/b/c"),
        (b"/a/b/c", 1, b"/b/c"),
        (b"/a/b/c", 2, b"/c"),
        (b"/a/b/c", 3, b""),
        (b"/a/b/", 2, b"/"),
        (b"/a/b?c/d", 2, b"?c/d"),
        (b"//a/b", 1, b"/b"),
        (b"/a//b", 1, b"//b"),
    ],
)
def test_dropping_a_prefix_leaves_the_rest_raw(target: bytes, count: int, left: bytes) -> None:
    assert drop_segments(target, count) == left


@pytest.mark.parametrize("target", ["/a%5c..%5cb", "/a/%2e%2e%2fb", "/a/..%2fb", "/a%2f.%2fb"])
def test_dots_between_encoded_slashes_are_refused(target: str) -> None:
    # CHP passes them on; a target that decodes before it resolves would leave the prefix.
    with pytest.raises(BadRequestError):
        match_path(resolve_dots(target.encode()).decode())


@pytest.mark.parametrize("target", [b"/a%2Fx/b?c", b"/%2fa/b"])
def test_a_prefix_with_an_encoded_slash_cannot_be_dropped(target: bytes) -> None:
    with pytest.raises(BadRequestError):
        drop_segments(target, 1)
