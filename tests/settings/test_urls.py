"""Targets, route keys and headers: what is taken, and what is said of the rest."""

import pytest

from hubgate.errors import ConfigError
from hubgate.settings.urls import (
    check_chp_target,
    check_header,
    check_host,
    check_socket_path,
    check_target,
    route_key,
)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9001",
        "http://127.0.0.1:9001/base/path",
        "http://notebook",
        "http://my_container:8888",
        "https://hub.example.org",
        "https://[::1]:9/x",
        "http://[fe80::1]",
        "http+unix://%2Frun%2Fapp.sock",
        "http+unix://%2Frun%2Fapp.sock/base",
        "unix+http://%2Frun%2Fapp.sock",
        "http://a/%20b",
        "http://a/@alice",
    ],
)
def test_target_is_taken_as_written(url: str) -> None:
    assert check_target(url) == url


def test_blanks_around_a_target_are_dropped() -> None:
    assert check_target(" \thttp://h:1/a\r\n") == "http://h:1/a"


@pytest.mark.parametrize("url", [" http://h:1 ", "http://al:hunter2@h", "http://h/a b#c", "ws://h"])
def test_options_of_chp_take_what_chp_takes(url: str) -> None:
    assert check_chp_target(url) == url


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("h:1", "'h:1' has no scheme; write http://h:1"),
        ("http://h:0", "'http://h:0' has port 0; ports are 1 to 65535"),
        ("http://al:hunter2@h:0", "'http://...@h:0' has a user or password; drop user:password@"),
    ],
)
def test_what_they_do_not_take_is_explained_as_well(url: str, line: str) -> None:
    with pytest.raises(ConfigError) as raised:
        check_chp_target(url)
    assert str(raised.value) == line


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("", "'' has no scheme; write http://HOST:PORT"),
        ("127.0.0.1:9001", "'127.0.0.1:9001' has no scheme; write http://127.0.0.1:9001"),
        ("localhost:9001", "'localhost:9001' has no scheme; write http://localhost:9001"),
        ("ftp://h", "'ftp://h' has scheme 'ftp'; write http://, https:// or http+unix://"),
        ("htp://h", "'htp://h' has scheme 'htp'; write http://, https:// or http+unix://"),
        ("ws://h/x", "'ws://h/x' is a websocket URL; write http://, it serves websockets too"),
        ("wss://h/x", "'wss://h/x' is a websocket URL; write https://, it serves websockets too"),
        ("http://", "'http://' has no host; write http://127.0.0.1:8080"),
        ("https:///x", "'https:///x' has no host; write https://127.0.0.1:8080"),
        ("http://h:99999", "'http://h:99999' has a bad port; ports are 1 to 65535"),
        ("http://h:http", "'http://h:http' has a bad port; ports are 1 to 65535"),
        ("http://h:0", "'http://h:0' has port 0; ports are 1 to 65535"),
        (
            "http://::1:80",
            "'http://::1:80' has an IPv6 address without brackets; write http://[::1]:8080",
        ),
        ("http://[::1", "'http://[::1' has a bad IPv6 address; write http://[::1]:8080"),
        (
            "http://300.1.1.1",
            "'http://300.1.1.1' has a bad host: '300.1.1.1' is not an IPv4 address;"
            " write four numbers, each 0 to 255",
        ),
        (
            "http://a..b",
            "'http://a..b' has a bad host: 'a..b' is not a host;"
            " write a name such as hub.example.org or an address",
        ),
        ("http://h/#f", "'http://h/#f' has a fragment; drop the # and what follows it"),
        (
            "http://h/a b",
            "'http://h/a b' contains a space or a control character; write %20 for a space",
        ),
        (
            "http://h\r\nX: y",
            "'http://h\\r\\nX: y' contains a space or a control character; write %20 for a space",
        ),
        ("http://h/%zz", "'http://h/%zz' has a bare %; write %25 for a percent sign"),
        (
            "http+unix:///run/app.sock",
            "'http+unix:///run/app.sock' does not name a socket; write its absolute path,"
            " each slash as %2F: http+unix://%2Frun%2Fapp.sock",
        ),
        (
            "http+unix://app.sock",
            "'http+unix://app.sock' does not name a socket; write its absolute path,"
            " each slash as %2F: http+unix://%2Frun%2Fapp.sock",
        ),
    ],
)
def test_bad_target_is_explained(url: str, line: str) -> None:
    with pytest.raises(ConfigError) as raised:
        check_target(url)
    assert str(raised.value) == line


@pytest.mark.parametrize(
    "url",
    [
        "http://al:hunter2@h/",
        "http://hunter2@h:bad/",
        "ftp://al:hunter2@h",
        "al:hunter2@h",
        "http://al:hun/hunter2@h",
        "http://al:hunter2@h/?q",
    ],
)
def test_password_in_a_target_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError) as raised:
        check_target(url)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("/", "/"),
        ("//", "/"),
        ("/user/alice", "/user/alice"),
        ("/user/alice/", "/user/alice"),
        ("/user/a%40b", "/user/a@b"),
        ("/caf%C3%A9", "/café"),
        ("/%2525", "/%25"),
        ("hub.example.org/", "hub.example.org/"),
        ("Hub.Example.ORG/A/", "hub.example.org/A"),
        ("localhost/x", "localhost/x"),
        ("intranet/", "intranet/"),
        ("127.0.0.1/x", "127.0.0.1/x"),
        ("[::1]/x", "[::1]/x"),
        ("[0:0::1]/x", "[::1]/x"),
        (".Hub.example.org/", ".hub.example.org/"),
        (".hub.example.org/a/", ".hub.example.org/a"),
    ],
)
def test_route_key_has_one_spelling(text: str, key: str) -> None:
    assert route_key(text) == key


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("user/alice", "'user/alice' does not start with a slash; write /user/alice"),
        ("alice", "'alice' has no path; write /alice for a path, alice/ for a host"),
        (
            "hub.example.org",
            "'hub.example.org' has no path; write /hub.example.org for a path,"
            " hub.example.org/ for a host",
        ),
        (
            "http://127.0.0.1/",
            "'http://127.0.0.1/' is a URL; write a path such as /user/alice or hub.example.org/",
        ),
        (
            "hub.example.org:8000/",
            "'hub.example.org:8000/': a route's host cannot have a port",
        ),
        ("/a?b", "'/a?b' has a '?'; routes match on host and path alone"),
        ("/a#b", "'/a#b' has a '#'; routes match on host and path alone"),
        ("/a/../b", "'/a/../b' has a . or .. in its path; write the path it resolves to"),
        ("/a/%2e%2e/b", "'/a/%2e%2e/b' has a . or .. in its path; write the path it resolves to"),
        ("/100%", "'/100%' has a bare %; write %25 for a percent sign"),
        ("/%ff", "'%ff' is not UTF-8 once percent-decoded"),
        ("/a%00b", "'/a%00b' contains a control character"),
        ("[::g]/", "'[::g]/' has a bad IPv6 address; write [::1]/"),
        (
            ".well-known/x",
            "'.well-known/x' does not start with a slash; write /.well-known/x",
        ),
        (".[::1]/", "'.[::1]/': an address has no subdomains; drop the dot in front"),
        (".10.0.0.1/", "'.10.0.0.1/': an address has no subdomains; drop the dot in front"),
        (
            "*.example.org/",
            "'*.example.org/': '*.example.org' is not a host;"
            " write a name such as hub.example.org or an address",
        ),
    ],
)
def test_bad_route_key_is_explained(text: str, line: str) -> None:
    with pytest.raises(ConfigError) as raised:
        route_key(text)
    assert str(raised.value) == line


@pytest.mark.parametrize("host", ["a", "a-b.c", "a_b", "::1", "10.0.0.1", "hub.example.org."])
def test_host_is_taken(host: str) -> None:
    assert check_host(host) == host


@pytest.mark.parametrize("host", ["", "-a", "a-", "a b", "a/b", "1.2.3", "a" * 64, "é"])
def test_bad_host_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match="write"):
        check_host(host)


def test_socket_path_must_fit_the_kernel() -> None:
    assert check_socket_path("/run/a.sock") == "/run/a.sock"
    with pytest.raises(ConfigError, match="is 120 bytes long; a socket path has at most"):
        check_socket_path("/" + "a" * 119)
    with pytest.raises(ConfigError, match="cannot name a unix socket"):
        check_socket_path("a\0b")


def test_header_is_a_name_and_a_trimmed_value() -> None:
    assert check_header("X-Team", "  physics ") == ("X-Team", "physics")


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("X Team", "a", "'X Team' is not a header name; write letters, digits and dashes"),
        ("", "a", "'' is not a header name; write letters, digits and dashes"),
        ("X\r\nY", "a", "'X\\r\\nY' is not a header name; write letters, digits and dashes"),
        ("Content-Length", "1", "'Content-Length' is set by the proxy itself; drop it"),
        ("TRANSFER-ENCODING", "x", "'TRANSFER-ENCODING' is set by the proxy itself; drop it"),
        ("X", "a\r\nB: c", "'X' has a value that does not fit in one Latin-1 header line"),
        ("X", "a\0", "'X' has a value that does not fit in one Latin-1 header line"),
        ("X", "€", "'X' has a value that does not fit in one Latin-1 header line"),
    ],
)
def test_bad_header_is_explained(name: str, value: str, line: str) -> None:
    with pytest.raises(ConfigError) as raised:
        check_header(name, value)
    assert str(raised.value) == line
