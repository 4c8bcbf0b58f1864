"""Where the API's routes are kept."""

from proxy.errors import ConfigError
from proxy.store.base import RouteStore
from proxy.store.memory import MemoryStore
from proxy.store.sqlite import SqliteStore


def open_store(address: str) -> RouteStore:
    """Return the store that `address` names; nothing is connected before its `open()`.

    Raises ConfigError for an address no store answers to.
    """
    scheme, colon, rest = address.partition(":")
    if scheme == "memory" and colon and not rest:
        return MemoryStore()
    if scheme == "sqlite" and rest:
        return SqliteStore(rest)
    raise ConfigError(
        f"store: {address!r} is not a store hubgate knows: write memory: or sqlite:FILE"
    )
