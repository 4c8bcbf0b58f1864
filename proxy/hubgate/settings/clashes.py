"""One address, or one file, for two purposes: found here, not when one has spoilt the other."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress

from hubgate.current_folder import anchored
from hubgate.model import STDOUT, Address
from hubgate.settings.catalogue import LISTENERS
from hubgate.settings.setting import Place, Where, dotted
from hubgate.settings.values import Settings

# How the names of the files end that SQLite keeps beside one of routes.
_BESIDE_A_STORE = ("", "-wal", "-shm", "-journal")


def clashes(settings: Settings, where: Where = dotted) -> list[str]:
    """Return a line for each pair of settings that cannot have the same address or file.

    `where` says where a setting was given.
    """
    return [*_addresses(settings, where), *_files(settings, where)]


def place_of(field: str, address: Address) -> Place:
    """Return the place of an address that is in that field of `Settings`."""
    if field == "redirect":
        return ("listen", "redirect_port")
    return (field, "port" if address.path is None else "socket")


def named(where: Where, place: Place) -> str:
    """Return a setting's name alone, without its file and line."""
    return where(place).rpartition(": ")[2]


# --- addresses --------------------------------------------------------------------------------


def _addresses(settings: Settings, where: Where) -> Iterator[str]:
    ports = [
        (place_of(field, address), address)
        for field in LISTENERS
        for address in getattr(settings, field)
        if address.path is None
    ]
    for index, (place, address) in enumerate(ports):
        for other, earlier in ports[:index]:
            if _clash(address, earlier):
                yield (
                    f"{where(place)}: {address} is taken by {named(where, other)};"
                    " give one of them another port"
                )


def _clash(one: Address, other: Address) -> bool:
    if one.port != other.port or one.port == 0:
        return False
    hosts = {_plain(one.host), _plain(other.host)}
    return len(hosts) == 1 or "" in hosts


def _plain(host: str) -> str:
    host = host.lower()
    return {"localhost": "127.0.0.1", "0.0.0.0": "", "::": ""}.get(host, host)


# --- files ------------------------------------------------------------------------------------


def _files(settings: Settings, where: Where) -> Iterator[str]:
    written = list(_written(settings))
    read = list(_read(settings))
    for index, (place, path) in enumerate(written):
        for other, earlier in (*written[:index], *read):
            if place != other and not _identities(path).isdisjoint(_identities(earlier)):
                purpose = named(where, other) if other else "the file of settings"
                yield (
                    f"{where(place)}: {path} is in use as {purpose}; give one of them another path"
                )


def _written(settings: Settings) -> Iterator[tuple[Place, str]]:
    """Yield the files that we create, write to and remove."""
    for field in LISTENERS:
        for address in getattr(settings, field):
            if address.path is not None:
                yield place_of(field, address), address.path
    scheme, _, path = settings.store.partition(":")
    if scheme == "sqlite":
        yield from ((("store",), path + end) for end in _BESIDE_A_STORE)
    log = settings.worker.access_log
    if log is not None and log.path != STDOUT:
        yield ("access_log", "path"), log.path
    if settings.pid_file is not None:
        yield ("pid_file",), settings.pid_file


def _read(settings: Settings) -> Iterator[tuple[Place, str]]:
    """Yield the files that a person writes."""
    if settings.config_file is not None:
        yield (), str(settings.config_file)
    if settings.api_token_file is not None:
        yield ("api", "token_file"), str(settings.api_token_file)
    for section, tls in (
        ("listen", settings.worker.tls),
        ("api", settings.api_tls),
        ("upstream", settings.worker.client_tls),
    ):
        for name in ("cert", "key", "ca", "dhparam"):
            if (path := getattr(tls, name, None)) is not None:
                yield (section, "tls", name), path


def _identities(path: str) -> set[str | tuple[int, int]]:
    """Return what two names of one file have in common; nothing for a device, which many may use.

    A file that is not there yet is known by its path without links.
    """
    found: set[str | tuple[int, int]] = set()
    with suppress(OSError, ValueError):  # with a NUL in it, it is no path
        found.add(os.path.realpath(anchored(path)))
        status = os.stat(path)
        if stat.S_ISCHR(status.st_mode):
            return set()
        found.add((status.st_dev, status.st_ino))
    return found
