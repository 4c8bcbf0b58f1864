"""What a start does short of opening ports, done before it without changing anything."""

import os
from collections.abc import Callable, Iterator
from functools import partial

from hubgate.control.listening.activation import inherits_sockets
from hubgate.control.listening.descriptors import check_descriptor_limit, raise_descriptor_limit
from hubgate.control.listening.sockets import NoSuchHostError, check_address
from hubgate.control.listening.unix_sockets import check_socket
from hubgate.control.pidfile import check_pid_file
from hubgate.errors import (
    ConfigError,
    HubgateError,
    StoreRefusedError,
    StoreUnavailableError,
)
from hubgate.model import Address, RedisLogin
from hubgate.redis_address import is_redis
from hubgate.settings import Settings
from hubgate.settings.catalogue import LISTENERS
from hubgate.settings.checks import stated
from hubgate.settings.clashes import place_of
from hubgate.settings.setting import Where, dotted
from hubgate.store.login_files import login_mistakes


def start_findings(
    settings: Settings, where: Where = dotted, begins: bool = True
) -> tuple[list[str], list[str]]:
    """Return what would end a start with these settings, and what it would warn of, as lines.

    `where` says where a setting was given. If the start `begins` now, it is to wait itself for a
    shared store that cannot be reached: that does not end it yet.
    """
    mistakes: list[str] = []
    warnings: list[str] = []

    def store() -> None:
        if settings.store == "memory:":
            return
        if is_redis(settings.store):
            _check_login(settings.redis, where)
        from hubgate.store.trial import try_store  # takes long to load

        try:
            warnings.extend(try_store(settings.store, settings.own_store, settings.redis))
        except HubgateError as error:
            passes = isinstance(error, StoreUnavailableError) and is_redis(settings.store)
            if begins and passes and not isinstance(error, StoreRefusedError):
                return
            said = str(error).removeprefix("store: ")
            raise ConfigError(f"{where(('store',))}: {said}") from None

    attempts: list[Callable[[], object]] = [
        partial(_check_files, settings.workers),
        *(() if inherits_sockets(os.environ) else _places(settings, where)),
        lambda: stated(check_pid_file, settings.pid_file, where(("pid_file",))),
        store,
    ]
    for attempt in attempts:
        try:
            attempt()
        except ConfigError as error:
            mistakes += error.lines
    return mistakes, warnings


def _check_login(login: RedisLogin, where: Where) -> None:
    wrong = [f"{where(('redis', name))}: {what}" for name, what in login_mistakes(login)]
    if wrong:
        raise ConfigError(*wrong)


def _check_files(workers: int) -> None:
    raise_descriptor_limit()
    check_descriptor_limit(workers)


def _places(settings: Settings, where: Where) -> Iterator[Callable[[], None]]:
    for field in LISTENERS:
        for address in getattr(settings, field):
            yield partial(_check_place, field, address, where)


def _check_place(field: str, address: Address, where: Where) -> None:
    place = place_of(field, address)
    try:
        if address.path is not None:
            check_socket(address.path)
        else:
            check_address(address, LISTENERS[field].name)
    except ConfigError as error:
        if isinstance(error, NoSuchHostError):
            place = (place[0], "host")
        raise ConfigError(f"{where(place)}: {error}") from None
