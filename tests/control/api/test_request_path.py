"""The request target in its parts."""

import pytest

from hubgate.control.api.request_path import decode_route, split_target
from hubgate.errors import RouteError


@pytest.mark.parametrize(
    ("target", "path", "route", "query"),
    [
        ("/api/routes", "/api/routes", "", {}),
        ("/api/routes/", "/api/routes/", "/", {}),
        ("/api/routes/a%2Fb", "/api/routes/a%2Fb", "/a%2Fb", {}),
        ("/api/routes//a", "/api/routes//a", "//a", {}),
        ("/api/routes?x=1", "/api/routes", "", {"x": "1"}),
        ("/api/routes/a?x=1&x=2&y", "/api/routes/a", "/a", {"x": "1", "y": ""}),
        ("/api/routes?x=a+b%2Bc%20d", "/api/routes", "", {"x": "a b+c d"}),
        ("/api/routes?%78=1#f", "/api/routes", "", {"x": "1"}),
        ("/api/routes?x=%ff", "/api/routes", "", {"x": "\ufffd"}),
        ("http://api:8001/api/routes/a", "/api/routes/a", "/a", {}),
        ("http://api", "/", None, {}),
        ("/api/routesa", "/api/routesa", None, {}),
        ("//api/routes", "//api/routes", None, {}),
        ("*", "/", None, {}),
    ],
)
def test_a_target_is_taken_apart(
    target: str, path: str, route: str | None, query: dict[str, str]
) -> None:
    parts = split_target(target)
    assert (parts.path, parts.route, parts.query) == (path, route, query)


@pytest.mark.parametrize(
    ("path", "decoded"),
    [("", ""), ("/a%40b", "/a@b"), ("/a%2fb", "/a/b"), ("/%25%32%35", "/%25"), ("/a+b", "/a+b")],
)
def test_a_route_is_decoded_once(path: str, decoded: str) -> None:
    assert decode_route(path) == decoded


def test_raw_utf8_reads_as_its_encoded_form() -> None:
    raw = "/é".encode().decode("utf-8", "surrogateescape")
    assert decode_route(raw) == decode_route("/%C3%A9") == "/é"


@pytest.mark.parametrize("path", ["/%", "/%4", "/%4x", "/%ff", "/%C3", "/\udcff", "/..", "/%2E/a"])
def test_what_cannot_be_decoded_or_matched_is_refused(path: str) -> None:
    with pytest.raises(RouteError, match="path"):
        decode_route(path)
