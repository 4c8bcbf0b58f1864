"""What the supervisor runs on: every setting resolved and checked, whatever its source."""

from dataclasses import dataclass, field
from pathlib import Path

from hubgate.model import (
    Address,
    RedisLogin,
    ReplicaOptions,
    Route,
    ServerTLS,
    WorkerConfig,
)
from hubgate.routing.scope import EVERYTHING, Scope


@dataclass(frozen=True, slots=True)
class ApiToken:
    """One of several tokens of the API: its name in logs, the file it was read from, its scope."""

    name: str
    file: Path
    token: str = field(repr=False)
    scope: Scope = EVERYTHING


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a running hubgate. Built by `hubgate.settings.load` or the drop-in command.

    `api_token_file` is where the token was read from, None if it came from the environment.
    `api_tokens` are those with a name, beside it or alone.
    `api_open` says that the API shall need no token. `api_hosts` are names under which the API and
    the metrics are called while they need no token, besides those of the loopback interface.
    `file_routes` are those of routes.yaml and cannot be changed through the API;
    `initial_routes` are ordinary API routes that exist from the start (--default-target).
    `own_store` says that nobody named a store: it is hubgate's own file, or `memory:` where there
    can be none. `recovery_file` keeps the routes of the memory: store for a successor if we are
    killed.
    """

    listen: tuple[Address, ...] = (Address("127.0.0.1", 8000),)
    redirect: tuple[Address, ...] = ()
    api: tuple[Address, ...] = (Address("127.0.0.1", 8001),)
    api_tls: ServerTLS | None = None
    api_token: str | None = field(default=None, repr=False)
    api_token_file: Path | None = None
    api_tokens: tuple[ApiToken, ...] = ()
    api_open: bool = False
    api_hosts: tuple[str, ...] = ()
    metrics: tuple[Address, ...] = ()
    health: tuple[Address, ...] = ()
    store: str = "memory:"
    own_store: bool = False
    recovery_file: Path | None = None
    redis: RedisLogin = field(default_factory=RedisLogin)
    replicas: ReplicaOptions = field(default_factory=ReplicaOptions)
    workers: int = 1
    worker: WorkerConfig = field(default_factory=WorkerConfig)
    file_routes: tuple[Route, ...] = ()
    initial_routes: tuple[Route, ...] = ()
    pid_file: str | None = None
    config_file: Path | None = None
    log_level: str = "info"
    log_format: str = "text"

    @property
    def token_for_everything(self) -> str | None:
        """A token of the API without a scope, None if there is none."""
        named = (each.token for each in self.api_tokens if each.scope.is_everything)
        return self.api_token or next(named, None)
