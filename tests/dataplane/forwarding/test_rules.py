"""What the rules make of a request: its path, its host and the headers we add."""

from typing import Any

import pytest

from tests.dataplane.conftest import StartFront
from tests.dataplane.peers import Front, Target, exchange
from tests.dataplane.wire import Message, request

# --- the request's path ----------------------------------------------------------------------


async def seen_by(
    front: Front, target: Target, path: str, *, base: str = "", key: str = "/", **options: Any
) -> Message:
    front.route(key, target.url + base, **options)
    seen, _ = await exchange(front, target, request("GET", path))
    return seen


@pytest.mark.parametrize(
    ("base", "path", "expected"),
    [
        ("", "/user/a%40b/x%2Fy?z=%20", "/user/a%40b/x%2Fy?z=%20"),
        ("", "//a//b/?c?d", "//a//b/?c?d"),
        ("", "/a?", "/a?"),
        ("", "/a;b=c/~d!$&'()*+,=:@", "/a;b=c/~d!$&'()*+,=:@"),
        ("", "/a/./b/../c", "/a/c"),
        ("", "/a/%2e%2e/c?d=/../e", "/c?d=/../e"),
        ("/base", "/", "/base/"),
        ("/base", "/a?b", "/base/a?b"),
        ("/base/", "/a", "/base/a"),
        ("/", "/a", "/a"),
        ("/b%40se?k=v", "/a", "/b%40se/a?k=v"),
        ("/base?k=v", "/a?b", "/base/a?k=v&b"),
    ],
)
async def test_the_raw_path_is_joined_after_the_targets_own(
    front: Front, target: Target, base: str, path: str, expected: str
) -> None:
    assert (await seen_by(front, target, path, base=base)).path == expected


async def test_the_targets_own_path_can_be_left_out(
    start_front: StartFront, target: Target
) -> None:
    front = await start_front(prepend_path=False)

    assert (await seen_by(front, target, "/a?b", base="/base")).path == "/a?b"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/user/alice/lab?x", "/lab?x"),
        ("/user/alice/", "/"),
        ("/user/alice", "/"),
        ("/user/alice?x", "/?x"),
        ("/user/%61lice/a%2Fb", "/a%2Fb"),
        ("/user/alice//b", "//b"),
    ],
)
@pytest.mark.parametrize("how", ["route", "everywhere"])
async def test_the_matched_prefix_can_be_left_out(
    start_front: StartFront, target: Target, path: str, expected: str, how: str
) -> None:
    front = await start_front(include_prefix=how == "route")
    options = {"strip_prefix": True} if how == "route" else {}
    seen = await seen_by(front, target, path, key="/user/alice", **options)

    assert seen.path == expected


async def test_a_prefix_left_out_makes_room_for_the_targets_path(
    front: Front, target: Target
) -> None:
    seen = await seen_by(front, target, "/a/b", base="/base", key="/a", strip_prefix=True)

    assert seen.path == "/base/b"


# --- the host --------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["hub", "Hub.example:8000", "[::1]:8000", "127.0.0.1"])
async def test_the_host_goes_through_untouched(joined: Front, target: Target, host: str) -> None:
    seen, _ = await exchange(joined, target, request("GET", "/", host=host))

    assert seen.get("host") == host


async def test_the_host_can_be_the_targets(start_front: StartFront, target: Target) -> None:
    front = await start_front(change_origin=True)
    seen = await seen_by(front, target, "/")

    assert seen.get("host") == f"127.0.0.1:{target.port}"
    assert seen.get("x-forwarded-host") == "hub"


async def test_the_absolute_forms_host_goes_through(joined: Front, target: Target) -> None:
    seen, _ = await exchange(joined, target, request("GET", "http://other:81/a?b", host="hub"))

    assert seen.line == "GET /a?b HTTP/1.1"
    assert seen.get("host") == "other:81"


async def test_http_10_without_a_host_gets_the_targets(joined: Front, target: Target) -> None:
    seen, _ = await exchange(joined, target, b"GET / HTTP/1.0\r\n\r\n")

    assert seen.line == "GET / HTTP/1.1"
    assert seen.get("host") == f"127.0.0.1:{target.port}"


# --- headers we add --------------------------------------------------------------------------


async def test_configured_headers_are_added_and_replace_the_clients(
    start_front: StartFront, target: Target
) -> None:
    front = await start_front(custom_headers=(("X-Team", "physics"), ("X-New", "1")))
    front.route("/", target.url)
    seen, _ = await exchange(front, target, request("GET", "/", "x-team: chess", "X-Kept: 2"))

    assert seen.get("x-team") == "physics"
    assert seen.get("x-new") == "1"
    assert seen.get("x-kept") == "2"


async def test_a_routes_own_headers_win(start_front: StartFront, target: Target) -> None:
    front = await start_front(custom_headers=(("X-Team", "physics"), ("X-New", "1")))
    front.route("/", target.url, headers=(("x-team", "chess"),))
    front.route("/other", target.url)

    seen, _ = await exchange(front, target, request("GET", "/", "X-Team: none"))
    assert seen.get("x-team") == "chess"
    assert seen.get("x-new") == "1"


async def test_of_two_configured_headers_the_last_one_wins(
    start_front: StartFront, target: Target
) -> None:
    front = await start_front(custom_headers=(("X-Team", "physics"), ("X-TEAM", "chess")))
    seen = await seen_by(front, target, "/")

    assert seen.get("x-team") == "chess"


@pytest.mark.parametrize(
    ("name", "value"),
    [("X-Forwarded-Proto", "https"), ("x-forwarded-for", "192.0.2.1"), ("X-Forwarded-Port", "1")],
)
async def test_a_configured_header_replaces_what_we_would_say(
    start_front: StartFront, target: Target, name: str, value: str
) -> None:
    front = await start_front(custom_headers=((name, value),))
    seen = await seen_by(front, target, "/")

    assert seen.get(name) == value


async def test_a_configured_host_replaces_the_clients(
    start_front: StartFront, target: Target
) -> None:
    front = await start_front(custom_headers=(("Host", "inner.example"),))
    seen = await seen_by(front, target, "/")

    assert seen.get("host") == "inner.example"
    assert seen.get("x-forwarded-host") == "hub"
