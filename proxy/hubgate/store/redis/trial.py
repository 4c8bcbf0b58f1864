"""Trying a Redis as a start would use it, without leaving anything in it."""

import secrets
import ssl

from hubgate.errors import StoreRefusedError, StoreUnavailableError
from hubgate.model import RedisLogin
from hubgate.redis_address import RedisAddress
from hubgate.store.redis.client import RedisClient, eviction
from hubgate.store.redis.keys import TableKeys
from hubgate.store.redis.settling import Settling


async def try_redis(address: RedisAddress, login: RedisLogin) -> list[str]:
    """Return a line for what a start would warn of. Raises StoreError for what would end it.

    Of that, StoreUnavailableError may be over in a moment, and StoreRefusedError may not.
    """
    _check_authority(login)
    client = RedisClient(address, login)
    try:
        await Settling(client, TableKeys(address), 0).look()
        await _check_types(client, address)
        await _try_commands(client, address)
        warning = await eviction(client)
        return [] if warning is None else [warning]
    except StoreRefusedError:
        raise
    except StoreUnavailableError as error:
        if ";" in str(error):  # it says what helps
            raise
        helps = "start it, or correct the address (with TLS it is rediss:)"
        raise StoreUnavailableError(f"{error}; {helps}") from None
    finally:
        await client.close()


def _check_authority(login: RedisLogin) -> None:
    try:
        ssl.create_default_context(cafile=login.ca)
    except OSError as error:  # ssl.SSLError is one
        reason = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise StoreRefusedError(f"store: redis.ca: {login.ca}: {reason}") from None


async def _check_types(client: RedisClient, address: RedisAddress) -> None:
    types = TableKeys(address).types()
    async with client.call() as redis:
        pipe = redis.pipeline(transaction=False)
        for name in types:
            pipe.type(name)
        found = await pipe.execute()
    for (name, kind), there in zip(types.items(), found, strict=True):
        if there.decode() not in (kind, "none"):
            raise client.taken(f"{name} is a {there.decode()}")


async def _try_commands(client: RedisClient, address: RedisAddress) -> None:
    names = [address.key(f"trial:{secrets.token_hex(8)}:{each}") for each in "ab"]
    if error := (await client.script("try", names, [])).decode():
        raise client.translated(error)
