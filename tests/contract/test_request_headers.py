"""What happens to a request's headers on the way to the target."""

import contextlib

import pytest

from tests.contract.better import better
from tests.contract.conftest import StartProxy
from tests.contract.harness import RunningProxy
from tests.contract.passing import seen
from tests.contract.target import Target


@pytest.mark.parametrize("host", ["hub.example.org", "hub.example.org:8443", "[::1]:99", "HUB.Org"])
def test_the_host_goes_through_untouched(x: RunningProxy, target: Target, host: str) -> None:
    assert seen(x, target, ("Host", host)).all("Host") == [host]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Accept", "text/html;q=0.9, */*"),
        ("Accept-Encoding", "gzip, br"),
        ("Authorization", "token abc"),
        ("Cookie", 'a=1; b="2 3"; c'),
        ("Origin", "https://hub.example.org"),
        ("Referer", "https://hub.example.org/a?b"),
        ("If-None-Match", 'W/"xyz"'),
        ("Range", "bytes=0-99"),
        ("User-Agent", "Some/1.0 (like none; x)"),
        ("X-XSRFToken", "2|abc|def"),
        ("X-Odd_name.1", "odd"),
        ("X-Latin", "caf\u00e9"),
        ("X-Empty", ""),
        ("Forwarded", "for=192.0.2.1"),
        ("Via", "1.1 outside"),
    ],
)
def test_end_to_end_headers_go_through(
    x: RunningProxy, target: Target, name: str, value: str
) -> None:
    assert seen(x, target, (name, value)).all(name) == [value]


def test_nothing_else_is_added(x: RunningProxy, target: Target) -> None:
    names = set(seen(x, target, ("X-One", "1")).names)
    assert names - {"connection"} == {
        "host",
        "x-one",
        "x-forwarded-for",
        "x-forwarded-port",
        "x-forwarded-proto",
        "x-forwarded-host",
    }


def test_the_order_of_headers_is_kept(x: RunningProxy, target: Target) -> None:
    given = [(f"X-{letter}", letter) for letter in "ZAMBY"]
    names = [name for name in seen(x, target, *given).names if len(name) == 3]
    assert names == ["x-z", "x-a", "x-m", "x-b", "x-y"]


def test_a_repeated_header_keeps_all_its_values_in_order(x: RunningProxy, target: Target) -> None:
    request = seen(x, target, ("X-Tag", "one"), ("X-Other", "-"), ("X-Tag", "two, three"))
    assert request.get("X-Tag") == "one, two, three"


def test_repeated_cookies_all_arrive(x: RunningProxy, target: Target) -> None:
    request = seen(x, target, ("Cookie", "a=1"), ("Cookie", "b=2"))
    assert "; ".join(request.all("Cookie")) == "a=1; b=2"


@better("it writes names in lower case")
def test_names_keep_their_case(x: RunningProxy, target: Target) -> None:
    assert b"\r\nX-CamelCase: 1\r\n" in seen(x, target, ("X-CamelCase", "1")).raw


def test_trailer_is_dropped(x: RunningProxy, target: Target) -> None:
    assert seen(x, target, ("Trailer", "X-Checksum")).get("Trailer") is None


@better("it lets them through")
@pytest.mark.parametrize(
    ("name", "value"),
    [("Keep-Alive", "timeout=5"), ("TE", "trailers"), ("Proxy-Connection", "keep-alive")],
)
def test_hop_by_hop_headers_stay_behind(
    x: RunningProxy, target: Target, name: str, value: str
) -> None:
    assert seen(x, target, (name, value)).get(name) is None


@better("it lets them through")
def test_a_header_named_by_connection_stays_behind(x: RunningProxy, target: Target) -> None:
    request = seen(x, target, ("Connection", "keep-alive, X-Hop"), ("X-Hop", "1"))
    assert request.get("X-Hop") is None


@better("it tells the target to close as well")
def test_a_client_that_closes_does_not_close_the_targets_connection(
    x: RunningProxy, target: Target
) -> None:
    seen(x, target, ("Connection", "close"))
    assert "close" not in (target.last.get("Connection") or "")
    assert seen(x, target).connection == 0


def test_connections_to_a_target_are_kept_alive(x: RunningProxy, target: Target) -> None:
    assert [seen(x, target, ("X-Number", str(n))).connection for n in range(3)] == [0, 0, 0]


def test_change_origin_sends_the_targets_host(start: StartProxy, target: Target) -> None:
    proxy = start("--change-origin")
    proxy.add("/x", target.url)
    assert seen(proxy, target, ("Host", "hub.example.org")).all("Host") == [target.host]


def test_change_origin_still_forwards_the_clients_host(start: StartProxy, target: Target) -> None:
    proxy = start("--change-origin")
    proxy.add("/x", target.url)
    request = seen(proxy, target, ("Host", "hub.example.org:81"))
    assert request.all("X-Forwarded-Host") == ["hub.example.org:81"]
    assert request.all("X-Forwarded-Port") == ["81"]


@pytest.mark.parametrize("port", ["", ":80"])
def test_change_origin_leaves_the_default_port_out(start: StartProxy, port: str) -> None:
    proxy = start("--change-origin")
    try:
        target = Target(address=("127.0.0.1", 80))
    except OSError as error:
        pytest.skip(f"port 80 cannot be had here: {error}")
    with contextlib.ExitStack() as stack:
        stack.callback(target.stop)
        proxy.add("/x", f"http://127.0.0.1{port}")
        assert seen(proxy, target, ("Host", "hub.example.org:81")).all("Host") == ["127.0.0.1"]


class TestCustomHeaders:
    """--custom-header, repeatable."""

    @pytest.fixture
    def custom(self, start: StartProxy, target: Target) -> RunningProxy:
        given = [
            "X-Team: physics",
            "X-Url:http://a:1/b",
            "  X-Blank  :  in  mid  ",
            "X-Team:art",
        ]
        flags = [part for item in given for part in ("--custom-header", item)]
        proxy = start(*flags, "--custom-header", "X-None:")
        proxy.add("/x", target.url)
        return proxy

    def test_they_are_added_to_every_request(self, custom: RunningProxy, target: Target) -> None:
        assert [seen(custom, target).all("X-Url") for _ in range(2)] == [["http://a:1/b"]] * 2

    def test_blanks_around_name_and_value_are_cut(
        self, custom: RunningProxy, target: Target
    ) -> None:
        assert seen(custom, target).all("X-Blank") == ["in  mid"]

    def test_the_last_of_a_name_wins(self, custom: RunningProxy, target: Target) -> None:
        assert seen(custom, target).all("X-Team") == ["art"]

    def test_the_value_may_be_empty(self, custom: RunningProxy, target: Target) -> None:
        assert seen(custom, target).all("X-None") == [""]

    def test_they_replace_what_the_client_sent(self, custom: RunningProxy, target: Target) -> None:
        assert seen(custom, target, ("x-team", "mine")).all("X-Team") == ["art"]

    def test_they_are_not_sent_to_the_client(self, custom: RunningProxy) -> None:
        assert custom.get("/x").get("X-Team") is None
