"""Connections to the Redis that an address names; each call is bounded and none is repeated."""

import asyncio
import inspect
import os
import re
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.resources import files
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import (
    AuthenticationError,
    InvalidResponse,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from hubgate.errors import (
    StoreError,
    StoreRefusedError,
    StoreUnavailableError,
    StoreUnreachedError,
)
from hubgate.model import RedisLogin
from hubgate.redis_address import SENTINEL_EXAMPLE, RedisAddress
from hubgate.store.login_files import password_in

CALL = 1.0
"""Seconds a call may take; a hub's whole patience is 30."""

SENTINEL = 0.25
"""Seconds one sentinel may take, so that a call can ask others when some are gone."""

_FULL = "it has no memory left; raise its maxmemory"
_READ_ONLY = "it is a replica, and cannot be written to; name its master"

# What Redis adds to an error of a script: nobody can look that up.
_PLACE_IN_SCRIPT = re.compile(r",? script: \w+, on @user_script:\d+\.?")

# As Redis says it of a command in a script: 7.0, and later.
_NO_RIGHT = ("user executing the script can't", "ACL failure in script")

_UNKNOWN = re.compile(
    r"unknown (?:redis )?command(?: called from script:)? [`'\"]?([\w|-]+)", re.IGNORECASE
)

# Nothing was sent then.
_UNSENT = (ConnectionRefusedError, FileNotFoundError, PermissionError, socket.gaierror)

# Of which the number says more than what asyncio and redis-py make of it.
_OF_SYSTEM = (OSError, ConnectionRefusedError, ConnectionResetError, socket.gaierror)


def _script_text(name: str) -> str:
    return files(__package__).joinpath("scripts", f"{name}.lua").read_text()


_SCRIPTS = {
    name: _script_text("leases") + _script_text(name)
    for name in ("change", "begin", "claim", "renew", "active", "try")
}


class Credentials(CredentialProvider):
    """A user and a password; a file is read at each connection, so that it may be renewed."""

    def __init__(self, username: str | None, password: str | None, file: str | None) -> None:
        self._username, self._password, self._file = username, password, file

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """Return what AUTH takes. Raises StoreRefusedError if the file has no password."""
        password = self._password or "" if self._file is None else password_in(self._file)
        return (self._username, password) if self._username else (password,)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        """Return them; without this method, redis-py logs a warning at each connection."""
        return self.get_credentials()


class RedisClient:
    """Calls to Redis and the scripts; errors are ours: away, or not to be used."""

    def __init__(self, address: RedisAddress, login: RedisLogin) -> None:
        self._address = address
        self._sentinels: list[Any] = []
        self._redis = self._connect(address, login)
        self._scripts = {name: self._redis.register_script(text) for name, text in _SCRIPTS.items()}

    def __repr__(self) -> str:
        return f"<RedisClient {self._address}>"

    @property
    def address(self) -> RedisAddress:
        """Where it is, without passwords when shown."""
        return self._address

    async def script(
        self, name: str, keys: list[str], args: list[Any], seconds: float = CALL
    ) -> Any:
        """Run a script; see there for what it takes and returns. Raises StoreError."""
        async with self.call(seconds):
            return await self._scripts[name](keys=keys, args=args)

    async def load_script(self, name: str) -> None:
        """Have Redis know a script, as the first call of it would. Raises StoreError."""
        async with self.call() as redis:
            await redis.script_load(self._scripts[name].script)

    @asynccontextmanager
    async def call(self, seconds: float = CALL) -> AsyncIterator[Any]:  # redis-py's types are wide
        """Make calls within that time; what goes wrong is raised as StoreError."""
        task = asyncio.current_task()
        cancelled = 0 if task is None else task.cancelling()
        try:
            async with asyncio.timeout(seconds):
                yield self._redis
        except TimeoutError:
            raise self._away(f"no answer within {seconds:.0f} s") from None
        except MasterNotFoundError as error:
            raise self._no_master(str(error)) from None
        except (AuthenticationError, NoPermissionError) as error:
            raise self._refused(_bare(str(error))) from None
        except OutOfMemoryError:
            raise self._away(_FULL) from None
        except ReadOnlyError:
            raise self._away(_READ_ONLY) from None
        except InvalidResponse:
            raise self.mistaken("what answers there is not a Redis; correct the address") from None
        except ResponseError as error:
            raise self.translated(_bare(str(error))) from None
        except (RedisError, OSError) as error:
            raise self._unreachable(error) from None
        finally:
            # redis-py now and then takes a cancellation for a connection's end and goes on. One
            # that came before must not end what is done because of it.
            if task is not None and task.cancelling() > cancelled:
                raise asyncio.CancelledError

    def own_host(self) -> str:
        """Return this machine's address on the way to Redis, where its other clients may reach it.

        It looks a name up, and sends nothing: call it in a thread.
        """
        for host, port in self._address.hosts:
            with suppress(OSError):
                for family, *_, place in socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM):
                    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
                        probe.connect(place)
                        return str(probe.getsockname()[0])
        return "127.0.0.1"  # by a unix socket, or nobody can say

    async def close(self) -> None:
        """Close every connection."""
        for each in (self._redis, *self._sentinels):
            await each.aclose()

    def translated(self, error: str) -> StoreError:
        """Return what an error means that Redis answered with."""
        error = _PLACE_IN_SCRIPT.sub("", error)
        kind = error.partition(" ")[0]
        if kind == "OOM":
            return self._away(_FULL)
        if kind == "READONLY":
            return self._away(_READ_ONLY)
        if kind in ("NOAUTH", "WRONGPASS", "NOPERM") or any(each in error for each in _NO_RIGHT):
            return self._refused(error.removeprefix("ERR "))
        if " because of: NOPERM " in error:  # a transaction that is not allowed
            return self._refused(error.partition(" because of: NOPERM ")[2])
        if "EXEC without MULTI" in error:  # whose own error comes before
            return self._refused("this user has no permissions to run the 'multi' command")
        if kind in ("LOADING", "BUSY", "MASTERDOWN", "MISCONF", "NOREPLICAS", "CLUSTERDOWN"):
            return self._away(error)
        if kind == "WRONGTYPE":
            return self.taken("")
        if (unknown := _UNKNOWN.search(error)) is not None:
            return self._without(unknown[1])
        return StoreError(f"store: {self._address}: {error}")

    def taken(self, what: str) -> StoreError:
        """Return the error for keys of another program; `what` says which, if that is known."""
        shown = f" ({what})" if what else ""
        return StoreError(
            f"store: {self._address}: the keys {self._address.key('*')} are another program's"
            f"{shown}; give another ?prefix="
        )

    def mistaken(self, what: str) -> StoreRefusedError:
        """Return the error for an address that is not right; `what` says what would be."""
        return StoreRefusedError(f"store: {self._address}: {what}")

    def _without(self, command: str) -> StoreRefusedError:
        if command == "SENTINEL":
            return self.mistaken("what answers there is not a sentinel; write redis://HOST:PORT/0")
        if command in ("MULTI", "EXEC"):
            return self.mistaken(
                f"what answers there seems to be a sentinel; write {SENTINEL_EXAMPLE}"
            )
        return self.mistaken(
            f"it does not know the command {command}; take one that is newer, or renames none"
        )

    def _refused(self, reason: str) -> StoreRefusedError:
        if reason.startswith(("HELLO must be called", "NOAUTH", "Authentication required")):
            return StoreRefusedError(
                f"store: {self._address} needs a password; set HUBGATE_REDIS_PASSWORD, or"
                " redis: {password_file: FILE}"
            )
        return StoreRefusedError(
            f"store: {self._address} refuses us: {reason.rstrip('.')}; check its password and ACL"
        )

    def _no_master(self, error: str) -> StoreUnavailableError:
        service = self._address.service
        if "AuthenticationError" in error or "NOAUTH" in error:
            return StoreRefusedError(
                f"store: {self._address}: the sentinels refuse us; check the password in"
                " redis.sentinel_password_file or HUBGATE_REDIS_SENTINEL_PASSWORD"
            )
        # redis-py adds an error for each sentinel that did not respond.
        if error.count(" - ") >= len(self._address.hosts):
            return self._away("none of its sentinels responds")
        return self._away(
            f"its sentinels know no master {service!r} that serves; check the name, and what"
            " `SENTINEL MASTERS` says there"
        )

    def _unreachable(self, error: Exception) -> StoreUnavailableError:
        text, below = str(error) or type(error).__name__, error.__cause__ or error.__context__
        if "CERTIFICATE_VERIFY_FAILED" in text:
            reason = text.rpartition("verify failed: ")[2].partition(" (_ssl")[0]
            return StoreRefusedError(
                f"store: {self._address}: its certificate is not trusted: {reason}; name the"
                " authority's certificate in redis: {ca: FILE}, and a host that it is for"
            )
        ours = type(below) in _OF_SYSTEM or self._address.socket is not None
        if ours and isinstance(below, OSError) and below.errno:
            known = below.errno > 0
            text = os.strerror(below.errno) if known else str(below.strerror)
        unsent = isinstance(below, _UNSENT)
        return self._away(
            text.rstrip("."), StoreUnreachedError if unsent else StoreUnavailableError
        )

    def _away(
        self, reason: str, kind: type[StoreUnavailableError] = StoreUnavailableError
    ) -> StoreUnavailableError:
        return kind(f"store: {self._address} is away: {reason}")

    def _connect(self, address: RedisAddress, login: RedisLogin) -> Any:
        common: dict[str, Any] = {
            "db": address.database,
            "socket_timeout": 3 * CALL,
            "socket_connect_timeout": CALL,
            "socket_keepalive": True,
            "retry": Retry(NoBackoff(), 0),
            "client_name": "hubgate",
            "max_connections": 64,
            **_without_notifications(),
            **_login(address.username, address.password or login.password, login.password_file),
        }
        tls = _tls(login.ca) if address.tls else {}
        if address.socket is not None:
            return Redis(unix_socket_path=address.socket, **common)
        if address.service is None:
            ((host, port),) = address.hosts
            return Redis(host=host, port=port, **common, **tls)
        own = {
            "socket_timeout": SENTINEL,
            "socket_connect_timeout": SENTINEL,
            "retry": Retry(NoBackoff(), 0),  # the next sentinel is asked instead
            **_without_notifications(),
            **_login(None, login.sentinel_password, login.sentinel_password_file),
            **tls,
        }
        sentinel: Any = Sentinel([*address.hosts], sentinel_kwargs=own)  # type: ignore[no-untyped-call]
        self._sentinels = sentinel.sentinels
        return sentinel.master_for(address.service, **common, **tls)


async def eviction(client: RedisClient) -> str | None:
    """Return a line if Redis may evict routes, None if not. Raises StoreError."""
    async with client.call() as redis:
        memory = await redis.info("memory")
    policy = memory.get("maxmemory_policy", "noeviction")
    if policy == "noeviction" or not memory.get("maxmemory", 0):
        return None
    return (
        f"store: {client.address} may evict routes: its maxmemory-policy is {policy};"
        " set it to noeviction"
    )


def _bare(error: str) -> str:
    """Return what Redis said, without the command of a pipeline around it."""
    return error.rpartition(" of pipeline caused error: ")[2].strip("(',)")


def _without_notifications() -> dict[str, Any]:
    """Return what keeps redis-py from taking connections from the pool that have been closed.

    It does so in releases whose clients, asyncio's too, listen for notifications of maintenance.
    """
    name = "maint_notifications_config"
    if name not in inspect.signature(Redis.__init__).parameters:
        return {}
    from redis.maint_notifications import MaintNotificationsConfig

    return {name: MaintNotificationsConfig(enabled=False)}


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
