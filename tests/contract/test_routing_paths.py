"""How a request's path is read for routing: decoded, segment by segment, without its query."""

import json

import pytest

from tests.contract.better import better
from tests.contract.conftest import MakeTarget
from tests.contract.harness import RunningProxy
from tests.contract.passing import reached
from tests.contract.target import Target


@pytest.mark.parametrize("path", ["/user/a@b", "/user/a%40b", "/user/%61@b/x"])
def test_matching_decodes_percent_signs(proxy: RunningProxy, target: Target, path: str) -> None:
    proxy.add("/user/a@b", target.url)
    assert reached(proxy, target, path)


def test_a_route_posted_percent_encoded_is_the_decoded_one(
    proxy: RunningProxy, target: Target
) -> None:
    body = json.dumps({"target": target.url}).encode()
    assert proxy.call("POST", "/api/routes/user/a%40b", body).status == 201
    assert list(proxy.routes()) == ["/user/a@b"]
    assert reached(proxy, target, "/user/a@b/x")


@pytest.mark.parametrize("path", ["/user/Zo%C3%AB", "/user/Zo%c3%ab/x"])
def test_matching_decodes_utf8(proxy: RunningProxy, target: Target, path: str) -> None:
    proxy.add("/user/Zoë", target.url)
    assert reached(proxy, target, path)


def test_a_route_may_hold_a_space(proxy: RunningProxy, target: Target) -> None:
    proxy.add("/user/the boss", target.url)
    assert reached(proxy, target, "/user/the%20boss/x")


def test_a_plus_sign_is_no_space(proxy: RunningProxy, target: Target) -> None:
    proxy.add("/user/the boss", target.url)
    assert not reached(proxy, target, "/user/the+boss")


def test_decoding_happens_once(proxy: RunningProxy, target: Target) -> None:
    proxy.add("/user/a@b", target.url)
    assert not reached(proxy, target, "/user/a%2540b")


@pytest.mark.parametrize("path", ["/user%2Falice/x", "/user%2falice"])
def test_an_encoded_slash_divides_segments(proxy: RunningProxy, target: Target, path: str) -> None:
    proxy.add("/user/alice", target.url)
    assert reached(proxy, target, path)


def test_an_empty_segment_counts(proxy: RunningProxy, target: Target) -> None:
    proxy.add("/user/alice", target.url)
    assert not reached(proxy, target, "/user//alice")


@pytest.mark.parametrize("path", ["/user/alice//", "/user/alice//x", "/user/alice///y"])
def test_empty_segments_behind_the_prefix_do_no_harm(
    proxy: RunningProxy, target: Target, path: str
) -> None:
    proxy.add("/user/alice", target.url)
    assert reached(proxy, target, path)


@better("it takes the first segment after // for a host")
def test_leading_slashes_hide_no_segment(proxy: RunningProxy, make_target: MakeTarget) -> None:
    hub, alice = make_target(), make_target()
    proxy.add("/", hub.url)
    proxy.add("/alice", alice.url)
    assert reached(proxy, hub, "//user/alice")


def test_the_query_has_no_part_in_matching(proxy: RunningProxy, make_target: MakeTarget) -> None:
    alice, bob = make_target(), make_target()
    proxy.add("/user/alice", alice.url)
    proxy.add("/user/bob", bob.url)
    assert reached(proxy, alice, "/user/alice?next=/user/bob")
    assert reached(proxy, bob, "/user/bob?/user/alice/../x")


@pytest.mark.parametrize("dots", ["..", "%2e%2e", ".%2E"])
def test_dot_segments_are_resolved_before_matching(
    proxy: RunningProxy, make_target: MakeTarget, dots: str
) -> None:
    alice, bob = make_target(), make_target()
    proxy.add("/user/alice", alice.url)
    proxy.add("/user/bob", bob.url)
    assert reached(proxy, bob, f"/user/alice/{dots}/bob/x")


def test_a_request_in_absolute_form_is_matched_by_its_path(
    proxy: RunningProxy, target: Target
) -> None:
    proxy.add("/user/alice", target.url)
    assert reached(proxy, target, f"http://127.0.0.1:{proxy.port}/user/alice/x?y=1")
    assert target.last.path == "/user/alice/x?y=1"
