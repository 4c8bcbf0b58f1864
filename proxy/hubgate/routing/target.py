"""A route's target, parsed once when the route arrives."""

import re
import socket
import string
import sys
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import NamedTuple
from urllib.parse import quote, unquote, unquote_to_bytes

from hubgate.errors import RouteError

DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_UNIX_SCHEMES = ("http+unix", "unix+http")
BLANKS = "".join(map(chr, range(33)))
"""What is dropped around a URL."""

# What is dropped anywhere in it.
_NOWHERE = str.maketrans("", "", "\t\r\n")
_VISIBLE = re.compile("[!-~]*")
_PRINTED = string.punctuation
# Before an @ there usually is a password: where a URL is well-formed, only in its authority.
_CLEAR = re.compile(r"\s*[\w+.-]+://(?:\[[^\]@/]*\]|[^\s:@/?#\[]*)(?::[0-9]*)?(?:[/?#]|\Z)")
_SECRET = re.compile(r"\A(\s*[\w+.-]+:/+)?.*@", re.S)
_LONGEST_SHOWN = 200
# What WHATWG allows in a host: names in use have underscores, and none has the others.
_LABEL = re.compile(r"[a-z0-9_!$&'()*+,;=~-]{1,63}")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORT = re.compile(r":[0-9]*$")
_BYTE = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_WORD = r"[a-z](?:[a-z0-9-]{0,40}[a-z0-9])?"
_ORDINARY = re.compile(
    rf"https?://(?:{_BYTE}(?:\.{_BYTE}){{3}}|{_WORD}(?:\.{_WORD}){{0,4}})"
    r":(?:[1-9]\d{0,3}|[1-5]\d{4})/?",
    re.ASCII,
)
# sun_path of struct sockaddr_un, less its final NUL.
_LONGEST_SOCKET = 107 if sys.platform == "linux" else 103


class Peer(NamedTuple):
    """What to connect to; connections to equal peers are interchangeable."""

    host: str = ""
    port: int = 0
    tls: bool = False
    unix: str | None = None

    def __str__(self) -> str:
        if self.unix is not None:
            return f"unix:{self.unix}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Target:
    """A target's parts, ready to be joined with a request's.

    `path` is the target's own path without a trailing slash, `query` what follows its question
    mark, `authority` its Host header.
    """

    url: str
    peer: Peer
    path: bytes
    authority: bytes
    query: bytes = b""


def is_usual_target(url: str) -> bool:
    """Return whether `url` is a target as nearly all are, an address or a name and a port.

    Those need no further checks, which take longer than everything else about adding a route.
    """
    return _ORDINARY.fullmatch(url) is not None


def parse_target(url: str) -> Target:
    """Parse `http://`, `https://` or `http+unix://%2Fpath%2Fto.sock` (also `unix+http://`).

    What this returns can be connected to, and written into a request. It takes whatever works with
    CHP, which reads URLs like a browser does (WHATWG, "URL Standard"): blanks and control
    characters around it are dropped, those in its path are percent-encoded; a user, a password and
    a fragment mean nothing; `ws` is `http`. Raises RouteError with one line that says what would be
    right.
    """
    try:
        scheme, mark, rest = url.strip(BLANKS).translate(_NOWHERE).partition("://")
        scheme = scheme.lower()
        place, _, query = rest.partition("#")[0].partition("?")
        authority, slash, path = place.partition("/")
        authority = authority.rpartition("@")[2]
        if mark and scheme in _UNIX_SCHEMES:
            peer = _unix_peer(authority)
        elif mark and scheme in DEFAULT_PORTS:
            peer = _tcp_peer(scheme, authority)
        else:
            raise ValueError("it must start with http://, https:// or http+unix://")
        own_path = _visible(slash + path).rstrip(b"/")
        return Target(url, peer, own_path, _authority(peer), _visible(query))
    except ValueError as error:
        raise RouteError(
            f"bad target {shown(url)!r}: {error}; write http://HOST:PORT, https://HOST:PORT"
            " or http+unix://%2Fpath%2Fto.sock"
        ) from None


def same_target(one: str, other: str) -> bool:
    """Return whether two URLs mean one target: compared as used, not as written.

    A slash at the end, a default port that is spelled out, and the case of a host make no
    difference. Names are not looked up: `localhost` is not 127.0.0.1.
    """
    try:
        first, second = parse_target(one), parse_target(other)
    except RouteError:
        return one == other
    return (first.peer, first.path, first.query) == (second.peer, second.path, second.query)


def hide_password(url: str) -> str:
    """Return `url`, well-formed or not, without a user and password."""
    return url if _CLEAR.match(url) else _SECRET.sub(r"\1...@", url)


def shown(url: str) -> str:
    """Return `url` as it may appear in a line: without a user and password, and not endless."""
    text = hide_password(url)
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "..."


def _visible(text: str) -> bytes:
    """Return a path or query as it goes into a request: ASCII, without what could end the line."""
    return text.encode() if _VISIBLE.fullmatch(text) else quote(text, safe=_PRINTED).encode()


def _tcp_peer(scheme: str, authority: str) -> Peer:
    tls = scheme in ("https", "wss")
    if authority.startswith("["):
        host, bracket, rest = authority[1:].partition("]")
        host = host.lower().replace("%25", "%", 1)  # RFC 6874: a zone's percent sign is encoded
        if not bracket or rest[:1] not in ("", ":") or not _is_ipv6(host):
            raise ValueError("its IPv6 address is not one")
        port = rest[1:]
    else:
        name, _, port = authority.partition(":")
        if ":" in port:
            raise ValueError("an IPv6 address stands in brackets")
        host = _host(name)
    return Peer(host, _port(port) if port else DEFAULT_PORTS[scheme], tls)


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def _port(digits: str) -> int:
    number = digits.lstrip("0")
    if not (digits.isascii() and digits.isdigit() and number and len(number) <= 5):
        raise ValueError("its port is not a number from 1 to 65535")
    if (port := int(number)) > 65535:
        raise ValueError("its port is not a number from 1 to 65535")
    return port


def _host(name: str) -> str:
    """Return the name or IPv4 address to look up, in ASCII."""
    host = unquote(name, errors="strict")
    if not host.isascii():
        try:
            host = host.encode("idna").decode()
        except UnicodeError:
            raise ValueError("its host is not a name") from None
    if not host:
        raise ValueError("it does not name a host")
    host = host.lower()
    labels = host.removesuffix(".").split(".")
    if len(host) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError("its host is neither a name nor an address")
    if _NUMBER.fullmatch(labels[-1]):
        # Only an address ends in a number; what `127.1` or `0x7f.1` means, the system knows.
        try:
            return socket.inet_ntoa(socket.inet_aton(host.removesuffix(".")))
        except OSError:
            raise ValueError("its host is not an IPv4 address") from None
    return host


def _unix_peer(authority: str) -> Peer:
    try:
        # A port means nothing here.
        path = unquote_to_bytes(_PORT.sub("", authority)).decode()
    except UnicodeDecodeError:
        raise ValueError("the socket's path is not UTF-8") from None
    if not path.startswith("/"):
        raise ValueError("the socket's path must be absolute, with its slashes written as %2F")
    if "\0" in path or len(path.encode()) > _LONGEST_SOCKET:
        raise ValueError(f"no socket has such a path; one has at most {_LONGEST_SOCKET} bytes")
    return Peer(unix=path)


def _authority(peer: Peer) -> bytes:
    if peer.unix is not None:
        return b"localhost"
    # The zone of an address means something on this machine only.
    host = f"[{peer.host.partition('%')[0]}]" if ":" in peer.host else peer.host
    default = DEFAULT_PORTS["https" if peer.tls else "http"]
    return (host if peer.port == default else f"{host}:{peer.port}").encode()
