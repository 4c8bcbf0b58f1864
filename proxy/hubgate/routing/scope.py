"""The part of the route table that a token is for, and how its client writes the keys in it."""

from dataclasses import dataclass

from hubgate.errors import OutOfScopeError
from hubgate.routing.keys import SUBDOMAINS, clean_key, join_key, split_key


@dataclass(frozen=True, slots=True)
class Scope:
    """Keys at or under `path`, of a host and its subdomains, of no host (""), or of all (None).

    What a client posts without a host is a route for its host and the subdomains, and is shown to
    it as it was posted. With `host_routing` the first segment of a posted path is the host, as in
    CHP with --host-routing; `/` is then the default for the whole scope.
    """

    host: str | None = None
    path: str = "/"
    host_routing: bool = False

    def __str__(self) -> str:
        return "everything" if self.host is None else self.host + self.path

    @property
    def is_everything(self) -> bool:
        """Whether the whole table is in it: every route, and what hubgate itself is told to do."""
        return self.host is None

    def sees(self, key: str) -> bool:
        """Say whether the route stored under `key` is in this scope."""
        if self.host is None:
            return True
        host, path = split_key(key)
        return _is_in(host.removeprefix(SUBDOMAINS), self.host) and _is_under(path, self.path)

    def inward(self, key: str) -> str:
        """Return the key to store a route under that the client calls `key`.

        Raises OutOfScopeError if that is not in this scope, RouteError for a bad host.
        """
        stored = self._stored(key)
        if not self.sees(stored):
            raise OutOfScopeError(f"route {key} is outside this token's scope, which is {self}")
        return stored

    def outward(self, key: str) -> str:
        """Return what the client calls the route stored under `key`, which must be in this scope.

        It is what was posted, except that a host is in lower case.
        """
        if not self.host:
            return key
        if self.host_routing:
            return "/" if key == self._default else "/" + key.rstrip("/")
        host, path = split_key(key)
        return path if host == self._hosts else key

    def overlaps(self, other: "Scope") -> bool:
        """Say whether a key can be in both; what is for everything overlaps with nothing."""
        if self.host is None or other.host is None:
            return False
        hosts = _is_in(self.host, other.host) or _is_in(other.host, self.host)
        return hosts and (_is_under(self.path, other.path) or _is_under(other.path, self.path))

    @property
    def _hosts(self) -> str:
        """The host of keys that were posted without one: all that are in this scope."""
        host = self.host or ""
        return host if host.startswith("[") else SUBDOMAINS + host  # an address has no subdomains

    @property
    def _default(self) -> str:
        return self._hosts + self.path

    def _stored(self, key: str) -> str:
        if not self.host or not key.startswith("/"):
            return key
        if self.host_routing:
            return self._default if key == "/" else clean_key(key.lstrip("/"))
        return join_key(self._hosts, key)


EVERYTHING = Scope()


def _is_in(host: str, domain: str) -> bool:
    """Say whether `host` is `domain` or one of its subdomains; "" has none."""
    return host == domain or (bool(domain) and host.endswith("." + domain))


def _is_under(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(prefix.rstrip("/") + "/")
