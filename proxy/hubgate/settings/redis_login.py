"""The passwords of a Redis that stores routes, from the environment."""

from collections.abc import Mapping

from hubgate.model import RedisLogin
from hubgate.settings.catalogue import variables_of


def redis_login(environ: Mapping[str, str]) -> RedisLogin:
    """Return what the environment says of the login, without any file."""
    password, sentinels = (
        environ.get(variables_of(f"redis.{name}")[0]) or None
        for name in ("password", "sentinel_password")
    )
    return RedisLogin(password=password, sentinel_password=sentinels)
