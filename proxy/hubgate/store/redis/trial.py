"""Trying a Redis as a start would use it, without leaving anything in it."""

import secrets

from hubgate.errors import StoreError, StoreRefusedError, StoreUnavailableError
from hubgate.model import RedisLogin
from hubgate.redis_address import RedisAddress
from hubgate.store.login_files import login_mistakes
from hubgate.store.redis.client import RedisClient, eviction
from hubgate.store.redis.keys import TableKeys
from hubgate.store.redis.settling import Settling
from hubgate.store.redis.what_answers import mistake_in


async def try_redis(address: RedisAddress, login: RedisLogin) -> list[str]:
    """Return a line for what a start would warn of. Raises StoreError for what would end it.

    Of that, StoreUnavailableError may be over in a moment, and StoreRefusedError may not.
    """
    for setting, wrong in login_mistakes(login):
        raise StoreRefusedError(f"redis.{setting}: {wrong}")
    client = RedisClient(address, login)
    try:
        return await _tried(client, address)
    except StoreError as error:
        if (mistake := await mistake_in(address)) is not None:
            raise client.mistaken(mistake) from None
        says_what_helps = isinstance(error, StoreRefusedError) or ";" in str(error)
        if says_what_helps or not isinstance(error, StoreUnavailableError):
            raise
        raise StoreUnavailableError(f"{error}; start it, or correct the address") from None
    finally:
        await client.close()


async def _tried(client: RedisClient, address: RedisAddress) -> list[str]:
    await Settling(client, TableKeys(address), 0).look()
    await _check_types(client, address)
    await _try_commands(client, address)
    warning = await eviction(client)
    return [] if warning is None else [warning]


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
    """Try what a start and each change use: in a script, and what is not in that one by itself."""
    names = [address.key(f"trial:{secrets.token_hex(8)}:{each}") for each in "ab"]
    await client.load_script("try")  # Redis may know it: then running it would not tell
    async with client.call() as redis:
        await redis.pexpire(names[0], 1000)
    if error := (await client.script("try", names, [])).decode():
        raise client.translated(error)
