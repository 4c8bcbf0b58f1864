"""Where the API's routes are kept."""

from pathlib import Path

from hubgate.errors import ConfigError
from hubgate.store.base import RouteStore
from hubgate.store.memory import MemoryStore
from hubgate.store.recovery import RecoveryStore


def open_store(address: str, recovery_file: Path | None = None) -> RouteStore:
    """Return the store that `address` names; nothing is connected before its `open()`.

    Memory has a `recovery_file` beside it, if one is given, for the case that we are killed.

    Raises ConfigError for an address no store answers to.
    """
    scheme, colon, rest = address.partition(":")
    if scheme == "memory" and colon and not rest:
        return RecoveryStore(recovery_file) if recovery_file else MemoryStore()
    if scheme == "sqlite" and rest:
        from hubgate.store.sqlite import SqliteStore

        return SqliteStore(rest)
    raise ConfigError(
        f"store: {address!r} is not a store hubgate knows: write memory: or sqlite:FILE"
    )
