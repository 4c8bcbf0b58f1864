"""Checks of targets, route keys and headers, as a person writes them.

Everything here raises ConfigError with the reason and what would be right; the caller adds where.
"""

import re
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

from hubgate.errors import ConfigError, RouteError
from hubgate.routing.keys import SUBDOMAINS
from hubgate.routing.target import BLANKS, hide_password, is_usual_target, parse_target

_UNIX_SCHEMES = ("http+unix", "unix+http")
_SCHEMES = ("http", "https", *_UNIX_SCHEMES)
_HOST_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL_OR_SPACE = re.compile(r"[\x00-\x20\x7f]")
# RFC 9110, section 5.6.2: the characters of a header name.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BAD_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]")
# sun_path of struct sockaddr_un holds 108 bytes on Linux and 104 on macOS, a final NUL included.
_UNIX_PATH_BYTES = 103


def check_target(url: str) -> str:
    """Return `url` if it can be a route's target: http, https or a unix socket.

    Blanks around it are dropped.
    """
    if is_usual_target(url):
        return url
    url = url.strip(BLANKS)
    shown = repr(hide_password(url))
    if "@" in url.rpartition("://")[2].partition("/")[0]:
        raise ConfigError(f"{shown} has a user or password; drop user:password@")
    if _CONTROL_OR_SPACE.search(url):
        raise ConfigError(f"{shown} contains a space or a control character; write %20 for a space")
    if "://" not in url:
        raise ConfigError(f"{shown} has no scheme; write http://{url.lstrip('/') or 'HOST:PORT'}")
    if "#" in url:
        raise ConfigError(f"{shown} has a fragment; drop the # and what follows it")
    try:
        parts = urlsplit(url)
        _check_parts(parts, parts.port)
    except ValueError:
        raise ConfigError(f"{shown} {_bad_authority(url)}") from None
    except ConfigError as error:
        raise ConfigError(f"{shown} {error}") from None
    return _usable(url)


def check_chp_target(url: str) -> str:
    """Return `url` if it can be a target as CHP's options name one, which are read less strictly.

    The mistake of another one is told as `check_target` tells it.
    """
    try:
        return _usable(url)
    except ConfigError:
        check_target(url)
        raise


def _usable(url: str) -> str:
    """Return `url` if it works when it is used."""
    try:
        parse_target(url)
    except RouteError as error:
        raise ConfigError(str(error)) from None
    return url


def _check_parts(parts: SplitResult, port: int | None) -> None:
    _check_scheme(parts)
    if _BAD_PERCENT.search(parts.geturl()):
        raise ConfigError("has a bare %; write %25 for a percent sign")
    if parts.scheme in _UNIX_SCHEMES:
        _check_socket_authority(parts.netloc)
    elif port == 0:
        raise ConfigError("has port 0; ports are 1 to 65535")
    else:
        _check_authority(parts)


def _check_scheme(parts: SplitResult) -> None:
    if parts.scheme in ("ws", "wss"):
        right = "https" if parts.scheme == "wss" else "http"
        raise ConfigError(f"is a websocket URL; write {right}://, it serves websockets too")
    if parts.scheme not in _SCHEMES:
        raise ConfigError(f"has scheme {parts.scheme!r}; write http://, https:// or http+unix://")


def _bad_authority(url: str) -> str:
    netloc = url.partition("://")[2].partition("/")[0]
    if "[" in netloc or "]" in netloc:
        return "has a bad IPv6 address; write http://[::1]:8080"
    if netloc.count(":") > 1:
        return "has an IPv6 address without brackets; write http://[::1]:8080"
    return "has a bad port; ports are 1 to 65535"


def _check_socket_authority(netloc: str) -> None:
    path = _decode(netloc)
    if not path.startswith("/"):
        raise ConfigError(
            "does not name a socket; write its absolute path, each slash as %2F:"
            " http+unix://%2Frun%2Fapp.sock"
        )
    check_socket_path(path)


def _check_authority(parts: SplitResult) -> None:
    if not parts.hostname:
        raise ConfigError(f"has no host; write {parts.scheme}://127.0.0.1:8080")
    if "[" not in parts.netloc:
        try:
            check_host(parts.hostname)
        except ConfigError as error:
            raise ConfigError(f"has a bad host: {error}") from None


def check_socket_path(path: str) -> str:
    """Return `path` if it can name a unix socket."""
    if "\0" in path or not path:
        raise ConfigError(f"{path!r} cannot name a unix socket; write a path such as /run/hub.sock")
    if (length := len(path.encode())) > _UNIX_PATH_BYTES:
        raise ConfigError(
            f"{path!r} is {length} bytes long; a socket path has at most {_UNIX_PATH_BYTES}"
        )
    return path


def check_host(host: str) -> str:
    """Return `host` unchanged if it is a name or an address without brackets."""
    try:
        ip_address(host)
    except ValueError:
        labels = host.removesuffix(".").split(".")
        if not all(_HOST_LABEL.fullmatch(label) for label in labels) or len(host) > 253:
            raise ConfigError(
                f"{host!r} is not a host; write a name such as hub.example.org or an address"
            ) from None
        if labels[-1].isdigit():
            reason = f"{host!r} is not an IPv4 address; write four numbers, each 0 to 255"
            raise ConfigError(reason) from None
    return host


def route_key(text: str) -> str:
    """Return the key of the route that `text`, `/path` or `host/path`, names.

    Percent-decoded, the host in lower case, without a trailing slash (except `/` itself). With a
    dot in front of the host, the key is for its subdomains as well.
    """
    for mark in "?#":
        if mark in text:
            raise ConfigError(f"{text!r} has a {mark!r}; routes match on host and path alone")
    host, slash, path = text.partition("/")
    if host and not slash:
        raise ConfigError(f"{text!r} has no path; write /{text} for a path, {text}/ for a host")
    name = host.removeprefix(SUBDOMAINS)
    if host and name == host:
        host = _route_host(text, host)
    elif host:
        host = SUBDOMAINS + _domain(text, name)
    return host + _route_path(text, path)


def _route_host(text: str, host: str) -> str:
    if "://" in text:
        raise ConfigError(
            f"{text!r} is a URL; write a path such as /user/alice or hub.example.org/"
        )
    host = host.lower().removesuffix(".")
    if host.startswith("[") and host.endswith("]"):
        return f"[{_ipv6(text, host[1:-1])}]"
    if re.search(r":\d*$", host):
        raise ConfigError(f"{text!r}: a route's host cannot have a port")
    try:
        check_host(host)
    except ConfigError as error:
        raise ConfigError(f"{text!r}: {error}") from None
    if text.strip("./") != host and "." not in host and host != "localhost":
        # A forgotten slash is far likelier than a host without a domain.
        raise ConfigError(f"{text!r} does not start with a slash; write /{text}")
    return host


def _domain(text: str, name: str) -> str:
    """Return the name of a host whose subdomains are meant as well."""
    host = _route_host(text, name)
    with suppress(ValueError):
        ip_address(host.strip("[]"))
        raise ConfigError(f"{text!r}: an address has no subdomains; drop the dot in front")
    return host


def _ipv6(text: str, address: str) -> IPv6Address:
    try:
        return IPv6Address(address)
    except ValueError:
        raise ConfigError(f"{text!r} has a bad IPv6 address; write [::1]/") from None


def _route_path(text: str, path: str) -> str:
    if _BAD_PERCENT.search(path):
        raise ConfigError(f"{text!r} has a bare %; write %25 for a percent sign")
    decoded = _decode(path)
    if any(segment in (".", "..") for segment in decoded.split("/")):
        raise ConfigError(f"{text!r} has a . or .. in its path; write the path it resolves to")
    if re.search(r"[\x00-\x1f\x7f]", decoded):
        raise ConfigError(f"{text!r} contains a control character")
    return "/" + decoded.strip("/")


def _decode(text: str) -> str:
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeError:  # bytes that a flag had, or that follow a percent sign
        raise ConfigError(f"{text!r} is not UTF-8 once percent-decoded") from None


def check_header(name: str, value: str) -> tuple[str, str]:
    """Return the header as a pair, with white space around the value removed."""
    if not _TOKEN.fullmatch(name):
        raise ConfigError(f"{name!r} is not a header name; write letters, digits and dashes")
    if name.lower() in _OURS:
        raise ConfigError(f"{name!r} is set by the proxy itself; drop it")
    value = value.strip()
    if _BAD_VALUE.search(value):
        raise ConfigError(f"{name!r} has a value that does not fit in one Latin-1 header line")
    return name, value


# Framing and hop-by-hop headers: adding one to a request changes where it ends.
_OURS = frozenset(
    ("connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade")
)
