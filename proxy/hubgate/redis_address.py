"""The address of a Redis in which hubgates share a table."""

from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from hubgate.errors import ConfigError

SCHEMES = ("redis", "rediss", "redis+unix", "redis+sentinel", "rediss+sentinel")
EXAMPLE = "redis://HOST:6379/0?prefix=hubgate"
PREFIX = "hubgate"
SENTINEL_PORT = 26379
EXAMPLE_HOST, EXAMPLE_SERVICE = "HOST", "mymaster"
SENTINEL_EXAMPLE = f"redis+sentinel://{EXAMPLE_HOST}:{SENTINEL_PORT}/{EXAMPLE_SERVICE}/0"

_PORTS = {
    "redis": 6379,
    "rediss": 6379,
    "redis+sentinel": SENTINEL_PORT,
    "rediss+sentinel": SENTINEL_PORT,
}


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """A Redis, by host, unix socket or the name its sentinels know; `prefix` is the table's own."""

    hosts: tuple[tuple[str, int], ...] = ()
    socket: str | None = None
    service: str | None = None
    database: int = 0
    prefix: str = PREFIX
    tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        """Return the address as a log may show it, without passwords."""
        scheme = "rediss" if self.tls else "redis"
        if self.socket is not None:
            return f"redis+unix://{self.socket}?db={self.database}&prefix={self.prefix}"
        hosts = ",".join(place_text(host, port) for host, port in self.hosts)
        if self.service is not None:
            place = f"{scheme}+sentinel://{hosts}/{self.service}/{self.database}"
        else:
            place = f"{scheme}://{hosts}/{self.database}"
        return f"{place}?prefix={self.prefix}"

    def key(self, name: str) -> str:
        """Return the full name of one of the table's keys."""
        return f"{self.prefix}:{name}"


def is_redis(address: str) -> bool:
    """Return whether a store's address names a Redis."""
    return address.partition(":")[0].lower() in SCHEMES


def shown_store(address: str) -> str:
    """Return any store's address as a log may show it, the same everywhere, without passwords."""
    return str(parse_redis(address)) if is_redis(address) else address


def parse_redis(text: str) -> RedisAddress:
    """Return what a `redis…:` address means. Raises ConfigError without repeating a password."""
    scheme = text.partition(":")[0].lower()
    try:
        parts = urlsplit(text)
        query = dict(
            parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        )
    except ValueError:
        raise _mistake("it is not a URL") from None
    prefix = query.pop("prefix", PREFIX)
    if not prefix or any(letter.isspace() or ord(letter) < 33 for letter in prefix):
        raise _mistake("prefix: write a word")
    username, password, hosts = _login(parts.netloc)
    database = query.pop("db", "") if scheme == "redis+unix" else ""
    if query:
        raise _mistake(f"{next(iter(query))}: no such option; prefix is one")
    common = RedisAddress(prefix=prefix, username=username, password=password)
    if scheme == "redis+unix":
        socket = _socket(parts.netloc.rpartition("@")[2], parts.path)
        return replace(common, socket=socket, database=_database(database))
    path = [unquote(each) for each in parts.path.strip("/").split("/")]
    service = path.pop(0) if "sentinel" in scheme else None
    if service == "":
        raise _mistake(f"the name of the service is missing, as in {SENTINEL_EXAMPLE}")
    if len(path) > 1:
        raise _mistake("there is more behind the number of the database")
    found = tuple(_host(each, _PORTS[scheme]) for each in hosts.split(","))
    if len(found) > 1 and service is None:
        raise _mistake("several hosts are for redis+sentinel: alone")
    return replace(
        common,
        hosts=found,
        service=service,
        database=_database(path[0] if path else ""),
        tls=scheme.startswith("rediss"),
    )


def _mistake(what: str) -> ConfigError:
    return ConfigError(f"the Redis address is wrong: {what}; write {EXAMPLE}")


def _login(netloc: str) -> tuple[str | None, str | None, str]:
    login, _, hosts = netloc.rpartition("@")
    user, _, password = login.partition(":")
    return unquote(user) or None, unquote(password) or None, hosts


def _host(text: str, default: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _mistake("a port is a number, 1 to 65535") from None
    if not host:
        raise _mistake("a host is missing")
    return host, default if port is None else port


def _socket(netloc: str, path: str) -> str:
    # redis+unix:///run/redis.sock, or with the path quoted in the host's place, as for the API.
    place = unquote(netloc) if netloc else unquote(path)
    if not place.startswith("/"):
        raise _mistake("a socket's path begins with /, as in redis+unix:///run/redis/redis.sock")
    return place


def _database(text: str) -> int:
    if not text:
        return 0
    if not text.isdecimal() or int(text) > 1_000_000:
        raise _mistake(f"{quote(text)} is not the number of a database")
    return int(text)


def place_text(host: str, port: int) -> str:
    """Return a host and a port as an address has them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
