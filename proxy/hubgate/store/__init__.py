"""Where the API's routes are kept."""

from pathlib import Path

from hubgate.errors import ConfigError
from hubgate.model import RedisLogin, ReplicaOptions
from hubgate.redis_address import is_redis, parse_redis
from hubgate.store.base import RouteStore
from hubgate.store.memory import MemoryStore
from hubgate.store.recovery import RecoveryStore

_NO_LOGIN, _ALONE = RedisLogin(), ReplicaOptions("hubgate")


def open_store(
    address: str,
    recovery_file: Path | None = None,
    own: bool = False,
    login: RedisLogin = _NO_LOGIN,
    replica: ReplicaOptions = _ALONE,
) -> RouteStore:
    """Return the store that `address` names; nothing is connected before its `open()`.

    A memory store also writes the `recovery_file`, if one is given, in case we are killed. With
    `own`, nobody has named the store, and what is wrong with its file is not an error. `login` and
    `replica` are for Redis.

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
    if is_redis(address):
        return _redis_store(address, login, replica)
    raise ConfigError(
        f"store: {address!r} is not a store hubgate knows: write memory:, sqlite:FILE or redis://HOST"
    )


def _redis_store(address: str, login: RedisLogin, replica: ReplicaOptions) -> RouteStore:
    try:
        from hubgate.store.redis.store import RedisStore
    except ImportError as error:
        raise more_packages(address, error) from None
    return RedisStore(parse_redis(address), login, replica)


def more_packages(address: str, error: ImportError) -> ConfigError:
    """Return the mistake that a package for Redis is not installed."""
    return ConfigError(
        f"store: {parse_redis(address)} needs more packages ({error}); pip install 'hubgate[redis]'"
    )
