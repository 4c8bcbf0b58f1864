"""Trying a Redis as a start would use it, without leaving anything in it."""

import secrets

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
        raise StoreUnavailableError(f"{error}; start it, or correct the address") from None
    finally:
        await client.close()


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
