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


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a running hubgate. Built by `hubgate.settings.load` or the drop-in command.

    `api_token_file` is where the token was read from, None if it came from the environment.
    `api_open` says that the API shall need no token. `api_hosts` are names under which the API and
    the metrics are called while they need no token, besides those of the loopback interface.
    `file_routes` are those of routes.yaml and cannot be changed through the API;
    `initial_routes` are ordinary API routes that exist from the start (--default-target).
    `recovery_file` keeps the routes of the memory: store for a successor if we are killed.
    """

    listen: tuple[Address, ...] = (Address("127.0.0.1", 8000),)
    redirect: tuple[Address, ...] = ()
    api: tuple[Address, ...] = (Address("127.0.0.1", 8001),)
    api_tls: ServerTLS | None = None
    api_token: str | None = field(default=None, repr=False)
    api_token_file: Path | None = None
    api_open: bool = False
    api_hosts: tuple[str, ...] = ()
    metrics: tuple[Address, ...] = ()
    store: str = "memory:"
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
