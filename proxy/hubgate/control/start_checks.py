"""What a start does short of opening ports, done for `proxyctl check` without changing anything."""

from collections.abc import Callable, Iterator
from functools import partial

from hubgate.control.listening.sockets import resolve
from hubgate.control.listening.unix_sockets import check_socket
from hubgate.control.pidfile import check_pid_file
from hubgate.errors import ConfigError, HubgateError
from hubgate.model import Address
from hubgate.settings import Settings
from hubgate.settings.catalogue import LISTENERS
from hubgate.store.trial import try_store


def start_findings(settings: Settings) -> tuple[list[str], list[str]]:
    """Return what would end a start with these settings, and what it would warn of, as lines."""
    mistakes: list[str] = []
    warnings: list[str] = []
    attempts: list[Callable[[], None]] = [
        *_places(settings),
        partial(check_pid_file, settings.pid_file),
        lambda: warnings.extend(try_store(settings.store, settings.own_store)),
    ]
    for attempt in attempts:
        try:
            attempt()
        except ConfigError as error:
            mistakes += error.lines
        except HubgateError as error:
            mistakes.append(str(error))
    return mistakes, warnings


def _places(settings: Settings) -> Iterator[Callable[[], None]]:
    for field in LISTENERS:
        for address in getattr(settings, field):
            yield partial(_check_place, address)


def _check_place(address: Address) -> None:
    if address.path is not None:
        check_socket(address.path)
    else:
        resolve(address)
