"""A route's target, parsed once when the route arrives."""

from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from hubgate.errors import RouteError

_DEFAULT_PORTS = {"http": 80, "https": 443}
_UNIX_SCHEMES = ("http+unix", "unix+http")


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


def parse_target(url: str) -> Target:
    """Parse `http://`, `https://` or `http+unix://%2Fpath%2Fto.sock` (also `unix+http://`).

    Raises RouteError with one line that says what would be right.
    """
    try:
        parts = urlsplit(url)
        if any(char <= " " for char in parts.netloc + parts.path + parts.query):
            # It would end the request line early, and the rest would be read as a header.
            raise ValueError("it contains white space")
        peer = _unix_peer(parts) if parts.scheme in _UNIX_SCHEMES else _tcp_peer(parts)
        path = parts.path.rstrip("/").encode()
        return Target(url, peer, path, _authority(peer), parts.query.encode())
    except ValueError as error:
        raise RouteError(
            f"bad target {url!r}: {error}; write http://HOST:PORT, https://HOST:PORT"
            " or http+unix://%2Fpath%2Fto.sock"
        ) from None


def _tcp_peer(parts: SplitResult) -> Peer:
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError("it must start with http://, https:// or http+unix://")
    if not parts.hostname:
        raise ValueError("it does not name a host")
    if parts.port == 0:
        raise ValueError("its port is 0; ports are 1 to 65535")
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    return Peer(parts.hostname, port, tls=parts.scheme == "https")


def _unix_peer(parts: SplitResult) -> Peer:
    path = unquote(parts.netloc)
    if not path.startswith("/"):
        raise ValueError("the socket's path must be absolute, with its slashes written as %2F")
    return Peer(unix=path)


def _authority(peer: Peer) -> bytes:
    if peer.unix is not None:
        return b"localhost"
    host = f"[{peer.host}]" if ":" in peer.host else peer.host
    default = _DEFAULT_PORTS["https" if peer.tls else "http"]
    return (host if peer.port == default else f"{host}:{peer.port}").encode()
