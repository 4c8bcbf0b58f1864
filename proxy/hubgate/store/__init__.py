"""Where the API's routes are kept."""

from pathlib import Path

from hubgate.errors import ConfigError
from hubgate.store.base import RouteStore
from hubgate.store.memory import MemoryStore
from hubgate.store.recovery import RecoveryStore


def open_store(address: str, recovery_file: Path | None = None, own: bool = False) -> RouteStore:
    """Return the store that `address` names; nothing is connected before its `open()`.

    A memory store also writes the `recovery_file`, if one is given, in case we are killed. With
    `own`, nobody has named the store, and what is wrong with its file is not an error.

    Raises ConfigError for an address of no known store.
    """
    scheme, colon, rest = address.partition(":")
    if scheme == "memory" and colon and not rest:
        return RecoveryStore(recovery_file) if recovery_file else MemoryStore()
    if scheme == "sqlite" and rest:
        from hubgate.store.own_file import OwnFileStore
        from hubgate.store.sqlite import SqliteStore

        if own:
            return OwnFileStore(Path(rest))
        return SqliteStore(rest)
    raise ConfigError(
        f"store: {address!r} is not a store hubgate knows: write memory: or sqlite:FILE"
    )
