"""What a route may name as its target."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubgate.errors import RouteError
from hubgate.routing.target import Peer, hide_password, is_usual_target, parse_target, same_target


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
        ("HTTP+UNIX://%2Frun%2Fa.sock:80", Peer(unix="/run/a.sock"), b"localhost"),
        ("http+unix://%2Frun%2Fa%3A80", Peer(unix="/run/a:80"), b"localhost"),
        ("http+unix://u:p@%2Frun%2F%C3%A9", Peer(unix="/run/\u00e9"), b"localhost"),
        (" \t\x00http://hub:1/ \r\n", Peer("hub", 1), b"hub:1"),
        ("ht\ntp://h\tub:8\r1", Peer("hub", 81), b"hub:81"),
        ("http://user:pw@hub:1", Peer("hub", 1), b"hub:1"),
        ("http://a@b@hub", Peer("hub", 80), b"hub"),
        ("http://hub:/", Peer("hub", 80), b"hub"),
        ("https://hub:00443", Peer("hub", 443, tls=True), b"hub"),
        ("http://hub.:1", Peer("hub.", 1), b"hub.:1"),
        ("http://my_container-1", Peer("my_container-1", 80), b"my_container-1"),
        ("http://B\u00fccher.de", Peer("xn--bcher-kva.de", 80), b"xn--bcher-kva.de"),
        ("http://%68ub", Peer("hub", 80), b"hub"),
        ("http://127.1:9", Peer("127.0.0.1", 9), b"127.0.0.1:9"),
        ("http://0x7f.0.0.1", Peer("127.0.0.1", 80), b"127.0.0.1"),
        ("http://[fe80::1%25eth0]", Peer("fe80::1%eth0", 80), b"[fe80::1]"),
        ("ws://hub", Peer("hub", 80), b"hub"),
        ("wss://hub", Peer("hub", 443, tls=True), b"hub"),
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
        ("http+unix://%2Frun%2Fa.sock/a b", b"/a%20b", b""),
        ("http://hub/a b#c?d", b"/a%20b", b""),
        ("http://hub/?a b#c", b"", b"a%20b"),
        ("http://hub/a\r\nX-Injected: yes", b"/aX-Injected:%20yes", b""),
        ("http://hub/\x00\x7f", b"/%00%7F", b""),
        ("http://hub/\u00e9?\U0001f600", b"/%C3%A9", b"%F0%9F%98%80"),
        ('http://hub/%zz/../"<>`{}|\\^', b'/%zz/../"<>`{}|\\^', b""),
        ("http://hub?a?b", b"", b"a?b"),
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
        "http://hub:65536",
        "http://hub:000",
        "http://hub:-1",
        "http://hub:+1",
        "http://hub:8 0",
        "http://hub:\uff18\uff10",
        "http://hub:" + "9" * 50,
        "http:/hub",
        "http:hub",
        "http://user:pw@",
        "http://user:p/w@hub",
        "http://hub\\a",
        "http://a<b",
        "http://a%20b",
        "http://a..b",
        "http://.",
        "http://" + "a" * 64,
        "http://" + "a." * 127 + "aa",
        "http://%ff",
        "http://1.2.3.256",
        "http://1.2.3.4.5",
        "http://hub.1",
        "http://::1:80",
        "http://[::1]80",
        "http://[hub]",
        "http://[]",
        "http://[::1",
        "http://\u00a0",
        "http+unix://%2Fa%00b",
        "http+unix://%2F%FF",
        "http+unix://%2F" + "a" * 107,
        "\ud800",
        "http://\ud800",
        "http://hub/\ud800",
        "http://a b",
        "http+unix://run/a.sock",
        "http+unix://",
        "unix:///run/a.sock",
    ],
)
def test_what_is_no_target_is_refused_with_what_would_be_right(url: str) -> None:
    with pytest.raises(RouteError) as caught:
        parse_target(url)

    line = str(caught.value)
    assert repr(url)[:100] in line or "@" in url
    assert len(line) < 500
    assert line.isprintable()
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


def test_a_password_is_not_repeated() -> None:
    with pytest.raises(RouteError) as caught:
        parse_target("http://user:secret@hub:0/@")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "without"),
    [
        ("http://user:secret@hub:1/a@b", "http://...@b"),
        ("http:/user:secret@hub", "http:/...@hub"),
        ("http:user:secret@hub", "...@hub"),
        ("user:secret@hub:1", "...@hub:1"),
        ("http://user:se/cr?e#t@hub", "http://...@hub"),
        ("http://user:s\nt@hub", "http://...@hub"),
        ("http://hub:1/user/al@example.org", "http://hub:1/user/al@example.org"),
        ("http://[::1]:8/@", "http://[::1]:8/@"),
        ("http://hub?@", "http://hub?@"),
        ("redis://:secret@h:1/0", "redis://...@h:1/0"),
        ("http://hub", "http://hub"),
        ("", ""),
    ],
)
def test_what_may_be_a_password_is_hidden(url: str, without: str) -> None:
    assert hide_password(url) == without


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://h:1", "http://h:1/"),
        ("http://h", "HTTP://H:80/"),
        ("https://h:443/a/", "https://h/a"),
        ("http+unix://%2Frun%2Fa.sock", "unix+http://%2frun%2fa.sock/"),
        ("no URL", "no URL"),
    ],
)
def test_one_target_in_two_spellings(one: str, other: str) -> None:
    assert same_target(one, other)
    assert same_target(other, one)


@pytest.mark.parametrize(
    "other", ["http://h:2", "https://h:1", "http://i:1", "http://h:1/a", "http://h:1?a", "h:1"]
)
def test_two_targets(other: str) -> None:
    assert not same_target("http://h:1", other)


@given(
    st.from_regex(
        r"\A(https?|ftp)://([0-9]{1,3}(\.[0-9]{1,3}){2,4}|[a-z0-9-]{1,5}(\.[a-z0-9-]{1,3}){0,3})"
        r":[0-9]{1,6}/?\Z",
        fullmatch=True,
    )
)
def test_a_usual_target_is_one(url: str) -> None:
    if is_usual_target(url):
        assert parse_target(url).url == url


@pytest.mark.parametrize(
    ("url", "usual"),
    [
        ("http://127.0.0.1:8888", True),
        ("https://jupyter-alice.hub:8888/", True),
        ("http://127.0.0.1", False),
        ("http://127.0.0.256:80", False),
        ("http://127.0.0.1:0", False),
        ("http://127.0.0.1:70000", False),
        ("http://user@h:80", False),
        ("http://h:80/path", False),
        ("http://h:80\n", False),
        ("http+unix://%2Fa", False),
    ],
)
def test_what_a_usual_target_is(url: str, usual: bool) -> None:
    assert is_usual_target(url) == usual
