"""Which route a request goes to: the longest prefix by whole path segments."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.contract.conftest import MakeTarget, StartProxy
from tests.contract.harness import RunningProxy
from tests.contract.passing import reached
from tests.contract.target import Connection, Target, answer


@pytest.mark.parametrize("rest", ["", "/", "/a/b", "?x"])
def test_a_prefix_matches_itself_and_all_below(
    proxy: RunningProxy, target: Target, rest: str
) -> None:
    proxy.add("/user/alice", target.url)
    assert reached(proxy, target, f"/user/alice{rest}")


@pytest.mark.parametrize("path", ["/user/alicea", "/user/alice.x/y", "/user/alice-2"])
def test_a_longer_segment_does_not_match(proxy: RunningProxy, target: Target, path: str) -> None:
    proxy.add("/user/alice", target.url)
    assert not reached(proxy, target, path)


@pytest.mark.parametrize("path", ["/user/al", "/user", "/", "/alice"])
def test_a_shorter_path_does_not_match(proxy: RunningProxy, target: Target, path: str) -> None:
    proxy.add("/user/alice", target.url)
    assert not reached(proxy, target, path)


def test_a_prefix_matches_only_at_the_start(proxy: RunningProxy, target: Target) -> None:
    proxy.add("/user", target.url)
    assert not reached(proxy, target, "/hub/user/x")


def test_case_matters(proxy: RunningProxy, target: Target) -> None:
    proxy.add("/user/alice", target.url)
    assert not reached(proxy, target, "/user/Alice")


def test_the_longest_prefix_wins(proxy: RunningProxy, make_target: MakeTarget) -> None:
    wide, narrow = make_target(), make_target()
    proxy.add("/user", wide.url)
    proxy.add("/user/alice/files", narrow.url)
    assert reached(proxy, narrow, "/user/alice/files/1")
    assert reached(proxy, wide, "/user/alice/file")
    assert reached(proxy, wide, "/user/alice")


def test_the_order_of_adding_does_not_matter(proxy: RunningProxy, make_target: MakeTarget) -> None:
    wide, narrow = make_target(), make_target()
    proxy.add("/user/alice", narrow.url)
    proxy.add("/user", wide.url)
    assert reached(proxy, narrow, "/user/alice/x")
    assert reached(proxy, wide, "/user/bob")


@pytest.mark.parametrize("path", ["/", "/x", "/x/y/z", "/?q=1"])
def test_the_root_route_catches_all(proxy: RunningProxy, target: Target, path: str) -> None:
    proxy.add("/", target.url)
    assert reached(proxy, target, path)


def test_the_root_route_is_the_last_resort(proxy: RunningProxy, make_target: MakeTarget) -> None:
    hub, alice = make_target(), make_target()
    proxy.add("/", hub.url)
    proxy.add("/user/alice", alice.url)
    assert reached(proxy, alice, "/user/alice/x")
    assert reached(proxy, hub, "/user/bob/x")


def test_no_route_is_404(proxy: RunningProxy) -> None:
    assert proxy.get("/nobody/here").status == 404


def test_a_removed_route_stops_matching_at_once(proxy: RunningProxy, target: Target) -> None:
    proxy.add("/gone", target.url)
    assert reached(proxy, target, "/gone/x")
    proxy.remove("/gone")
    assert not reached(proxy, target, "/gone/x")


def test_removing_a_route_uncovers_the_shorter_one(
    proxy: RunningProxy, make_target: MakeTarget
) -> None:
    wide, narrow = make_target(), make_target()
    proxy.add("/user", wide.url)
    proxy.add("/user/alice", narrow.url)
    proxy.remove("/user/alice")
    assert reached(proxy, wide, "/user/alice/x")


def test_removing_a_route_keeps_those_below_it(proxy: RunningProxy, target: Target) -> None:
    proxy.add("/user", "http://127.0.0.1:9")
    proxy.add("/user/alice", target.url)
    proxy.remove("/user")
    assert reached(proxy, target, "/user/alice/x")
    assert not reached(proxy, target, "/user/bob")


def test_a_replaced_route_leads_to_its_new_target_at_once(
    proxy: RunningProxy, make_target: MakeTarget
) -> None:
    old, new = make_target(), make_target()
    proxy.add("/user/alice", old.url)
    proxy.add("/user/alice", new.url)
    assert reached(proxy, new, "/user/alice")
    assert not old.requests


def test_a_new_route_works_when_the_api_has_answered(proxy: RunningProxy, target: Target) -> None:
    for number in range(20):
        proxy.add(f"/fresh/{number}", target.url)
        assert reached(proxy, target, f"/fresh/{number}/x")


@pytest.mark.parametrize("name", ["__proto__", "constructor", "toString", "hasOwnProperty"])
def test_a_segment_may_have_any_name(proxy: RunningProxy, target: Target, name: str) -> None:
    proxy.add(f"/odd/{name}", target.url)
    assert reached(proxy, target, f"/odd/{name}/x")
    assert not reached(proxy, target, "/odd/other")


def test_many_routes_are_all_found(proxy: RunningProxy, target: Target) -> None:
    for number in range(50):
        proxy.add(f"/many/{number}", target.url)
    assert all(reached(proxy, target, f"/many/{number}") for number in range(50))


def test_a_target_may_be_named(proxy: RunningProxy, target: Target) -> None:
    proxy.add("/x", target.url.replace("127.0.0.1", "localhost"))
    assert reached(proxy, target, "/x")


def test_a_target_may_be_an_ipv6_address(proxy: RunningProxy) -> None:
    if not Path("/proc/net/if_inet6").exists():
        pytest.skip("there is no IPv6 here")
    target = Target(address=("::1", 0))
    try:
        proxy.add("/x", target.url)
        assert reached(proxy, target, "/x")
    finally:
        target.stop()


def test_many_requests_at_once_do_not_mix(proxy: RunningProxy, make_target: MakeTarget) -> None:
    everybody_is_here = threading.Barrier(40)

    def naming(connection: Connection) -> None:
        request = connection.read_request()
        everybody_is_here.wait(15)
        connection.send(answer(200, request.path.encode()))

    proxy.add("/x", make_target(naming).url)
    paths = [f"/x/{number}" for number in range(40)]
    with ThreadPoolExecutor(40) as pool:
        bodies = list(pool.map(lambda path: proxy.get(path).body.decode(), paths))
    assert bodies == paths


def test_a_default_target_is_the_root_route(start: StartProxy) -> None:
    proxy = start("--default-target", "http://127.0.0.1:9/base")
    assert proxy.routes()["/"]["target"] == "http://127.0.0.1:9/base"


def test_a_default_target_may_have_a_query(own: StartProxy, target: Target) -> None:
    proxy = own("--default-target", f"{target.url}/base?token=1")
    assert reached(proxy, target, "/x?y=2")
    assert target.last.path == "/base/x?token=1&y=2"
