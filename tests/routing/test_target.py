"""What a route may name as its target."""

import pytest

from hubgate.errors import RouteError
from hubgate.routing.target import Peer, parse_target


@pytest.mark.parametrize(
    ("url", "peer", "authority"),
    [
        ("http://hub", Peer("hub", 80), b"hub"),
        ("http://hub:80", Peer("hub", 80), b"hub"),
        ("http://hub:8081", Peer("hub", 8081), b"hub:8081"),
        ("HTTP://Hub.Example:8081", Peer("hub.example", 8081), b"hub.example:8081"),
        ("https://hub", Peer("hub", 443, tls=True), b"hub"),
        ("https://hub:80", Peer("hub", 80, tls=True), b"hub:80"),
        ("http://hub:443", Peer("hub", 443), b"hub:443"),
        ("http://127.0.0.1:9001/", Peer("127.0.0.1", 9001), b"127.0.0.1:9001"),
        ("http://[::1]:9001", Peer("::1", 9001), b"[::1]:9001"),
        ("http://[2001:db8::1]", Peer("2001:db8::1", 80), b"[2001:db8::1]"),
        ("http+unix://%2Frun%2Fa.sock", Peer(unix="/run/a.sock"), b"localhost"),
        ("unix+http://%2Frun%2Fa.sock/base", Peer(unix="/run/a.sock"), b"localhost"),
        ("http+unix://%2Frun%2FA%20b.sock", Peer(unix="/run/A b.sock"), b"localhost"),
    ],
)
def test_a_url_names_a_peer(url: str, peer: Peer, authority: bytes) -> None:
    target = parse_target(url)

    assert target.peer == peer
    assert target.authority == authority
    assert target.url == url


@pytest.mark.parametrize(
    ("url", "path", "query"),
    [
        ("http://hub", b"", b""),
        ("http://hub/", b"", b""),
        ("http://hub/base", b"/base", b""),
        ("http://hub/base/", b"/base", b""),
        ("http://hub/a%20b/c", b"/a%20b/c", b""),
        ("http://hub/base?token=x&y", b"/base", b"token=x&y"),
        ("http://hub?x", b"", b"x"),
        ("http+unix://%2Frun%2Fa.sock/base/", b"/base", b""),
    ],
)
def test_a_targets_own_path_and_query(url: str, path: bytes, query: bytes) -> None:
    target = parse_target(url)

    assert (target.path, target.query) == (path, query)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hub",
        "hub:8081",
        "//hub:8081",
        "http://",
        "http://hub:0",
        "http:///path",
        "http://:8081",
        "ftp://hub",
        "http://hub:port",
        "http://hub:99999",
        "http://[::1",
        "http://a b",
        "http://hub/a b",
        "http://hub/a\r\nX-Injected: yes",
        "http://hub/\x00",
        "http://hub/?a b",
        "http+unix://%2Frun%2Fa.sock/a b",
        "http+unix://run/a.sock",
        "http+unix://",
        "unix:///run/a.sock",
    ],
)
def test_what_is_no_target_is_refused_with_what_would_be_right(url: str) -> None:
    with pytest.raises(RouteError) as caught:
        parse_target(url)

    line = str(caught.value)
    assert repr(url) in line
    assert "http://HOST:PORT" in line
    assert "\n" not in line


def test_peers_are_interchangeable_when_they_are_equal() -> None:
    same = {parse_target(url).peer for url in ("http://hub/a", "http://HUB:80/b?c", "http://hub")}

    assert len(same) == 1
    assert parse_target("https://hub").peer not in same


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://hub", "http://hub:80"),
        ("https://[::1]:9", "https://[::1]:9"),
        ("http+unix://%2Frun%2Fa.sock", "unix:/run/a.sock"),
    ],
)
def test_a_peer_says_who_it_is(url: str, name: str) -> None:
    assert str(parse_target(url).peer) == name
