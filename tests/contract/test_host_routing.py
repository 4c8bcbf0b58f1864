"""--host-routing: the request's host is the first segment of its path."""

import pytest

from tests.contract.better import better
from tests.contract.conftest import MakeTarget, StartProxy
from tests.contract.harness import RunningProxy
from tests.contract.target import Target


@pytest.fixture
def hosted(start: StartProxy) -> RunningProxy:
    return start("--host-routing")


def status(proxy: RunningProxy, host: str, path: str) -> int:
    return proxy.get(path, ("Host", host)).status


def test_the_host_chooses_the_route(hosted: RunningProxy, make_target: MakeTarget) -> None:
    alice, bob = make_target(), make_target()
    hosted.add("/alice.example.org/user", alice.url)
    hosted.add("/bob.example.org/user", bob.url)
    assert status(hosted, "bob.example.org", "/user/x") == 200
    assert not alice.requests
    assert bob.paths == ["/user/x"]


def test_the_port_of_the_host_is_left_out(hosted: RunningProxy, target: Target) -> None:
    hosted.add("/hub.example.org", target.url)
    assert status(hosted, "hub.example.org:8443", "/x") == 200


def test_another_host_is_404(hosted: RunningProxy, target: Target) -> None:
    hosted.add("/hub.example.org", target.url)
    assert status(hosted, "example.org", "/hub.example.org/x") == 404


def test_a_route_of_the_host_alone_catches_all_its_paths(
    hosted: RunningProxy, target: Target
) -> None:
    hosted.add("/hub.example.org", target.url)
    assert status(hosted, "hub.example.org", "/") == 200
    assert status(hosted, "hub.example.org", "/a/b") == 200


def test_the_longest_path_under_the_host_wins(
    hosted: RunningProxy, make_target: MakeTarget
) -> None:
    hub, alice = make_target(), make_target()
    hosted.add("/hub.example.org", hub.url)
    hosted.add("/hub.example.org/user/alice", alice.url)
    assert status(hosted, "hub.example.org", "/user/alice/x") == 200
    assert alice.paths == ["/user/alice/x"]
    assert not hub.requests


def test_the_root_route_catches_every_host(hosted: RunningProxy, target: Target) -> None:
    hosted.add("/", target.url)
    assert status(hosted, "anything.example.net", "/x") == 200


def test_the_host_is_no_part_of_the_path_forwarded(hosted: RunningProxy, target: Target) -> None:
    hosted.add("/hub.example.org/user", f"{target.url}/base")
    status(hosted, "hub.example.org", "/user/x?y")
    assert target.last.path == "/base/user/x?y"


def test_the_host_is_forwarded_untouched(hosted: RunningProxy, target: Target) -> None:
    hosted.add("/hub.example.org", target.url)
    status(hosted, "hub.example.org:8443", "/x")
    assert target.last.all("host") == ["hub.example.org:8443"]


def test_the_api_shows_a_hosted_route_under_its_whole_key(hosted: RunningProxy) -> None:
    hosted.add("/hub.example.org/user/a", "http://127.0.0.1:9", jupyterhub=True)
    assert list(hosted.routes()) == ["/hub.example.org/user/a"]
    hosted.remove("/hub.example.org/user/a")
    assert hosted.routes() == {}


def test_the_data_of_a_hosted_route_names_its_host(hosted: RunningProxy) -> None:
    hosted.add("/hub.example.org/user/a", "http://127.0.0.1:9")
    assert hosted.routes()["/hub.example.org/user/a"]["host"] == "hub.example.org"


@better("it compares the host's letters as they are")
def test_the_host_matches_in_any_case(hosted: RunningProxy, target: Target) -> None:
    hosted.add("/hub.example.org", target.url)
    assert status(hosted, "HUB.Example.ORG", "/x") == 200


@better("it cuts the host's length too off the path")
def test_no_include_prefix_drops_the_path_of_the_prefix_only(
    start: StartProxy, target: Target
) -> None:
    proxy = start("--host-routing", "--no-include-prefix")
    proxy.add("/hub.example.org/user/alice", target.url)
    assert status(proxy, "hub.example.org", "/user/alice/files?x=1") == 200
    assert target.last.path == "/files?x=1"


def test_without_the_flag_hosts_do_not_matter(proxy: RunningProxy, target: Target) -> None:
    proxy.add("/x", target.url)
    assert status(proxy, "one.example.org", "/x") == 200
    assert status(proxy, "two.example.org", "/x") == 200
