"""Connections to the Redis that an address names; each call is bounded and none is repeated."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from hubgate.errors import StoreError, StoreUnavailableError
from hubgate.model import RedisLogin
from hubgate.redis_address import RedisAddress

CALL = 1.0
"""Seconds a call may take; a hub's whole patience is 30."""

_SCRIPTS = {
    name: files(__package__).joinpath(f"{name}.lua").read_text()
    for name in ("change", "begin", "claim", "renew", "active")
}


class Credentials(CredentialProvider):
    """A user and a password; a file is read at each connection, so that it may be renewed."""

    def __init__(self, username: str | None, password: str | None, file: str | None) -> None:
        self._username, self._password, self._file = username, password, file

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """Return what AUTH takes. Raises OSError if the file cannot be read."""
        password = self._password or ""
        if self._file is not None:
            password = Path(self._file).read_text().strip()
        return (self._username, password) if self._username else (password,)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        """Return them; without this method, redis-py logs a warning at each connection."""
        return self.get_credentials()


class RedisClient:
    """Calls to Redis and the scripts; errors are ours: away, or not to be used."""

    def __init__(self, address: RedisAddress, login: RedisLogin) -> None:
        self._address = address
        self._redis = self._connect(address, login)
        self._scripts = {name: self._redis.register_script(text) for name, text in _SCRIPTS.items()}

    def __repr__(self) -> str:
        return f"<RedisClient {self._address}>"

    async def script(
        self, name: str, keys: list[str], args: list[Any], seconds: float = CALL
    ) -> Any:
        """Run a script; see there for what it takes and returns. Raises StoreError."""
        async with self.call(seconds):
            return await self._scripts[name](keys=keys, args=args)

    @asynccontextmanager
    async def call(self, seconds: float = CALL) -> AsyncIterator[Any]:  # redis-py's types are wide
        """Make calls within that time; what goes wrong is raised as StoreError."""
        try:
            async with asyncio.timeout(seconds):
                yield self._redis
        except TimeoutError:
            raise self._away(f"no answer within {seconds:.0f} s") from None
        except MasterNotFoundError:
            raise self._away("the sentinels know no master that serves") from None
        except (AuthenticationError, NoPermissionError) as error:
            raise self._refused(error) from None
        except OutOfMemoryError:
            raise self._away("it has no memory left (maxmemory)") from None
        except ReadOnlyError:
            raise self._away("it is a replica now, and cannot be written to") from None
        except ResponseError as error:
            raise self._not_ready(error) from None
        except (RedisError, OSError) as error:
            raise self._away(str(error) or type(error).__name__) from None
        finally:
            # redis-py now and then takes a cancellation for a connection's end and goes on.
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise asyncio.CancelledError

    async def close(self) -> None:
        """Close every connection."""
        await self._redis.aclose()

    def _not_ready(self, error: ResponseError) -> StoreError:
        text = str(error)
        if "The user executing the script can't" in text:
            return self._refused(error)
        kind = text.partition(" ")[0]
        if kind in ("LOADING", "BUSY", "MASTERDOWN", "MISCONF", "NOREPLICAS", "CLUSTERDOWN"):
            return self._away(text)
        if kind == "WRONGTYPE":
            return StoreError(
                f"store: {self._address}: the keys {self._address.key('*')} are another program's;"
                " give another ?prefix="
            )
        return StoreError(f"store: {self._address}: {text}")

    def _refused(self, error: RedisError) -> StoreUnavailableError:
        return StoreUnavailableError(
            f"store: {self._address} refuses us: {error}; check its password and ACL"
        )

    def _away(self, reason: str) -> StoreUnavailableError:
        return StoreUnavailableError(f"store: {self._address} is away: {reason}")

    def _connect(self, address: RedisAddress, login: RedisLogin) -> Any:
        common: dict[str, Any] = {
            "db": address.database,
            "socket_timeout": 3 * CALL,
            "socket_connect_timeout": CALL,
            "socket_keepalive": True,
            "retry": Retry(NoBackoff(), 0),
            "client_name": "hubgate",
            "max_connections": 64,
            **_login(address.username, address.password or login.password, login.password_file),
        }
        tls = _tls(login.ca) if address.tls else {}
        if address.socket is not None:
            return Redis(unix_socket_path=address.socket, **common)
        if address.service is None:
            ((host, port),) = address.hosts
            return Redis(host=host, port=port, **common, **tls)
        own = {
            "socket_timeout": CALL / 2,
            "socket_connect_timeout": CALL / 2,
            **_login(None, login.sentinel_password, login.sentinel_password_file),
            **tls,
        }
        sentinel: Any = Sentinel([*address.hosts], sentinel_kwargs=own)  # type: ignore[no-untyped-call]
        return sentinel.master_for(address.service, **common, **tls)


def _login(username: str | None, password: str | None, file: str | None) -> dict[str, Any]:
    if not (username or password or file):
        return {}
    return {"credential_provider": Credentials(username, password, file)}


def _tls(ca: str | None) -> dict[str, Any]:
    return {
        "ssl": True,
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": True,
        "ssl_min_version": ssl.TLSVersion.TLSv1_2,
        **({"ssl_ca_certs": ca} if ca is not None else {}),
    }
